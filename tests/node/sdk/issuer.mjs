// A certified OpenID provider, for tests/oracles/test_issuer.py. Its own development pages take any name and password.
import { createServer } from "node:http";
import { createRequire } from "node:module";
import { Provider } from "oidc-provider";

let server;

export async function start({ redirect_uri, clients, claims }) {
  server = createServer();
  await new Promise((listening) => server.listen(0, "127.0.0.1", listening));
  const issuer = `http://127.0.0.1:${server.address().port}`;
  const provider = new Provider(issuer, {
    clients: [
      { client_id: clients.console, client_secret: clients.secret, redirect_uris: [redirect_uri] },
      {
        client_id: clients.cli,
        token_endpoint_auth_method: "none",
        grant_types: ["urn:ietf:params:oauth:grant-type:device_code"],
        response_types: [],
        redirect_uris: [],
      },
    ],
    claims: { openid: ["sub"], profile: ["account", "role"], email: ["email"] },
    conformIdTokenClaims: false,
    features: { deviceFlow: { enabled: true }, devInteractions: { enabled: true } },
    findAccount: (_, id) => ({ accountId: id, claims: () => ({ sub: id, ...claims }) }),
    cookies: { keys: ["a key of this test"] },
  });
  server.on("request", provider.callback());
  const version = createRequire(import.meta.url)("oidc-provider/package.json").version;
  return { issuer, version };
}

export async function stop() {
  server.closeAllConnections();
  await new Promise((closed) => server.close(closed));
}
