"""MCP (Model Context Protocol): the same services as tools for agents, at POST /mcp."""
