// One Identity Server with the vendor's routes, run by oidc-provider, and next
// to it the few harmless calls of Orchestrator that prove a token.
//
// The test that starts it passes the start values as JSON in the first argument,
// reads the address from the first line of standard output, and then writes one
// command a line to standard input; each is answered by one line. The process
// ends when standard input does, so none outlives its test.

import { createServer } from 'node:http';
import { createInterface } from 'node:readline';
import { generateKeyPairSync, timingSafeEqual, createHash } from 'node:crypto';
import { createRemoteJWKSet, jwtVerify } from 'jose';
import { Provider } from 'oidc-provider';

const start = JSON.parse(process.argv[2]);
const secrets = new Set([start.secret]);
let lifetime = start.lifetime;
let tokenRequests = 0;

const server = createServer();
await new Promise((listening) => server.listen(0, '127.0.0.1', listening));
const origin = `http://127.0.0.1:${server.address().port}`;
const issuer = `${origin}/identity_`;
const orchestrator = `${origin}/acme/prod/orchestrator_`;
const audience = 'UiPath.Orchestrator';

const provider = new Provider(issuer, {
  jwks: { keys: [signingKey()] },
  cookies: { keys: ['cookies are of no use to robots'] },
  scopes: [...start.scopes, start.refused],
  clients: [{
    client_id: start.clientID,
    client_secret: start.secret,
    token_endpoint_auth_method: 'client_secret_post',
    grant_types: ['client_credentials'],
    redirect_uris: [],
    response_types: [],
    scope: start.scopes.join(' '),
  }],
  ttl: { ClientCredentials: () => lifetime },
  routes: { token: '/connect/token', jwks: '/.well-known/openid-configuration/jwks' },
  features: {
    devInteractions: { enabled: false },
    clientCredentials: { enabled: true },
    resourceIndicators: {
      enabled: true,
      defaultResource: () => orchestrator,
      getResourceServerInfo: () => ({
        audience,
        scope: start.scopes.join(' '),
        accessTokenFormat: 'jwt',
      }),
    },
  },
});

// A machine object has several valid secrets while one replaces another; the
// library knows one a client.
provider.Client.prototype.compareClientSecret = (presented) =>
  [...secrets].some((secret) => timingSafeEqual(sha256(secret), sha256(presented)));

const identity = provider.callback();
const keys = createRemoteJWKSet(new URL(`${issuer}/.well-known/openid-configuration/jwks`));

server.on('request', (request, response) => {
  if (request.url.startsWith('/identity_/')) {
    if (request.method === 'POST' && request.url === '/identity_/connect/token') tokenRequests += 1;
    // oidc-provider learns its mount point from what is missing in url.
    request.originalUrl = request.url;
    request.url = request.url.slice('/identity_'.length);
    identity(request, response);
    return;
  }
  answerAsOrchestrator(request, response);
});

const calls = {
  '/odata/Folders': {
    scopes: ['OR.Folders', 'OR.Folders.Read'],
    body: { value: [{ Id: 1, DisplayName: 'Shared', FullyQualifiedName: 'Shared' }] },
  },
  '/odata/Users/UiPath.Server.Configuration.OData.GetCurrentUser': {
    scopes: ['OR.Users', 'OR.Users.Read'],
    body: { Id: 7, UserName: start.clientID, TenancyName: 'prod' },
  },
};

async function answerAsOrchestrator(request, response) {
  const { pathname } = new URL(request.url, origin);
  const path = `${origin}${pathname}`.replace(orchestrator, '');
  if (path === '/api/Status/Get') return reply(response, 200, {});
  const call = calls[path];
  if (!call) return reply(response, 404, { message: 'Not found', errorCode: 1002, resourceIds: null });
  try {
    const bearer = (request.headers.authorization ?? '').replace(/^Bearer /, '');
    const { payload } = await jwtVerify(bearer, keys, { issuer, audience });
    const granted = (payload.scope ?? '').split(' ');
    if (!['OrchestratorApiUserAccess', ...call.scopes].some((scope) => granted.includes(scope))) {
      return reply(response, 403, { message: 'You are not authorized!', errorCode: 0, resourceIds: null });
    }
    reply(response, 200, call.body);
  } catch {
    reply(response, 401, { message: 'You are not authenticated! Error code: 0', errorCode: 0, resourceIds: null });
  }
}

const commands = {
  addSecret: (secret) => { secrets.add(secret); },
  removeSecret: (secret) => { secrets.delete(secret); },
  setLifetime: (seconds) => { lifetime = seconds; },
  tokenRequests: () => tokenRequests,
};

say({ origin, issuer, orchestrator });
for await (const line of createInterface({ input: process.stdin })) {
  const { command, argument } = JSON.parse(line);
  say({ result: commands[command](argument) });
}
process.exit(0);

function say(message) {
  process.stdout.write(`${JSON.stringify(message)}\n`);
}

function reply(response, status, body) {
  response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body));
}

function sha256(text) {
  return createHash('sha256').update(text).digest();
}

function signingKey() {
  const { privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
  return { ...privateKey.export({ format: 'jwk' }), alg: 'RS256', use: 'sig' };
}
