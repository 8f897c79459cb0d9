"""Icons as inline SVG, 24 by 24, drawn with lines in the colour of the text beside them."""

from __future__ import annotations

from functools import cache
from typing import Final

from markupsafe import Markup

_SHAPES: Final = {
    "logo": '<rect x="3" y="4" width="18" height="16" rx="3"/><path d="M3 9h18M3 15h18M8 4v5M16 4v5M8 15v5M16 15v5"/>',
    "play": '<path d="M8 5.5v13l10.5-6.5z"/>',
    "spark": '<path d="M12 3v4M12 17v4M3 12h4M17 12h4M6 6l2.5 2.5M15.5 15.5 18 18M18 6l-2.5 2.5M8.5 15.5 6 18"/>',
    "film": '<rect x="3" y="5" width="18" height="14" rx="2"/><path d="M7.5 5v14M16.5 5v14M3 9.7h4.5M3 14.3h4.5'
    'M16.5 9.7H21M16.5 14.3H21"/>',
    "cube": '<path d="m12 3 8 4.5v9L12 21l-8-4.5v-9z"/><path d="m4 7.5 8 4.5 8-4.5M12 12v9"/>',
    "chart": '<path d="M4 20V10M10 20V4M16 20v-7M21 20H3"/>',
    "key": '<circle cx="8" cy="15" r="4"/><path d="m11 12 8.5-8.5M16 7l3 3M13.5 9.5l2 2"/>',
    "hook": '<path d="M9.5 9.5a3.5 3.5 0 1 1 4.6 3.3L11 18a3.5 3.5 0 1 1-4-2.8M13 6.5l4 7a3.5 3.5 0 1 1-2.4 5.9M7.5'
    ' 18.5h9"/>',
    "people": '<circle cx="9" cy="8" r="3.5"/><path d="M2.5 20c.5-3.8 3-6 6.5-6s6 2.2 6.5 6M15.5 4.8a3.5'
    ' 3.5 0 0 1 0 6.4M18 14.5c2 .8 3.2 2.7 3.5 5.5"/>',
    "pulse": '<path d="M3 12h4l2.5-7 5 14 2.5-7h4"/>',
    "list": '<path d="M8 6h13M8 12h13M8 18h13M3.5 6h.01M3.5 12h.01M3.5 18h.01"/>',
    "grid": '<rect x="4" y="4" width="6.5" height="6.5" rx="1"/><rect x="13.5" y="4" width="6.5" height="6.5" '
    'rx="1"/><rect x="4" y="13.5" width="6.5" height="6.5" rx="1"/><rect x="13.5" y="13.5" width="6.5" '
    'height="6.5" rx="1"/>',
    "copy": '<rect x="9" y="9" width="11" height="11" rx="2"/><path d="M5 15H4V5a1 1 0 0 1 1-1h10v1"/>',
    "check": '<path d="m5 12.5 4.5 4.5L19 7.5"/>',
    "cross": '<path d="m6 6 12 12M18 6 6 18"/>',
    "clock": '<circle cx="12" cy="12" r="8.5"/><path d="M12 7v5l3 2"/>',
    "warn": '<path d="M12 4 2.8 19.5h18.4zM12 10v4.5M12 17h.01"/>',
    "info": '<circle cx="12" cy="12" r="8.5"/><path d="M12 11v5M12 8h.01"/>',
    "sun": '<circle cx="12" cy="12" r="4"/><path d="M12 2.5v2M12 19.5v2M2.5 12h2M19.5 12h2M5.3 5.3l1.4 1.4'
    'M17.3 17.3l1.4 1.4M18.7 5.3l-1.4 1.4M6.7 17.3l-1.4 1.4"/>',
    "moon": '<path d="M20 14.5A8.5 8.5 0 0 1 9.5 4a8.5 8.5 0 1 0 10.5 10.5z"/>',
    "exit": '<path d="M14 4H6a1 1 0 0 0-1 1v14a1 1 0 0 0 1 1h8M10 12h11M17.5 8.5 21 12l-3.5 3.5"/>',
    "menu": '<path d="M4 7h16M4 12h16M4 17h16"/>',
    "trash": '<path d="M4 7h16M9 7V4h6v3M6 7l1 13h10l1-13M10 11v5M14 11v5"/>',
    "down": '<path d="M12 4v11M7 11l5 5 5-5M4 20h16"/>',
    "plus": '<path d="M12 5v14M5 12h14"/>',
    "again": '<path d="M20 12a8 8 0 1 1-2.5-5.8M20 3v4.5h-4.5"/>',
    "search": '<circle cx="11" cy="11" r="6.5"/><path d="m16 16 4.5 4.5"/>',
    "image": '<rect x="3" y="5" width="18" height="14" rx="2"/><circle cx="8.5" cy="10" r="1.5"/><path d="m4 18'
    ' 5.5-5 3.5 3 3-2.5 5 4.5"/>',
    "code": '<path d="m8.5 7-5 5 5 5M15.5 7l5 5-5 5"/>',
    "scroll": '<path d="M7 4h12v13a3 3 0 0 1-3 3H6a2 2 0 0 1-2-2v-1h11v1a2 2 0 0 0 2 2M7 17V4M10.5 8.5h5M10.5 12h5"/>',
    "send": '<path d="M21 3 10 14M21 3l-7 18-4-7-7-4z"/>',
}


@cache
def icon(name: str, label: str | None = None) -> Markup:
    """An icon; hidden from screen readers unless it stands alone and needs a label."""
    about = Markup('role="img" aria-label="{}"').format(label) if label else Markup('aria-hidden="true"')
    return Markup('<svg class="icon" viewBox="0 0 24 24" {}>{}</svg>').format(about, Markup(_SHAPES[name]))  # noqa: S704 - our own shapes
