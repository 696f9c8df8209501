"""Every key of the store and the one channel, in one table.

Each constant is the beginning of a key, and its docstring says what follows and what the value is. Text in angle
brackets stands in the key as it is. Secrets never do, only their digests (`opaque_tokens.digest`). A value is a JSON
record unless its docstring says otherwise. Changing a key makes every installation forget what is stored under it.
"""

from typing import Final

# Tokens and what was granted.
AUTHORIZATION: Final = "authorization:"
"""+ <authorization id>: the grant (`Authorization`), or a marker that it has ended."""
AUTHORIZATIONS_OF_USER: Final = "authorizations-of:"
"""+ <subject>: the set of the ids of that user's authorizations. Like the three that follow, each id is in it from when
its code is issued until its authorization expires."""
AUTHORIZATIONS_OF_CLIENT: Final = "authorizations-of-client:"
"""+ <client id>: the set of the ids of that client's authorizations."""
AUTHORIZATIONS_OF_PATIENT: Final = "authorizations-of-patient:"
"""+ <id of a Patient>: the set of the ids of the authorizations with that patient in context."""
AUTHORIZATIONS_OF_SESSION: Final = "authorizations-of-session:"
"""+ <session id>: the set of the ids of the authorizations that end with the session."""
AUTHORIZATION_CODE: Final = "code:"
"""+ digest of the code: what it stands for (`AuthorizationCode`), or that it was used (`UsedCode`)."""
ACCESS_TOKEN: Final = "access:"
"""+ digest of the token: what it stands for (`AccessToken`)."""
REFRESH_TOKEN_FAMILY: Final = "refresh:"
"""+ <authorization id>: the family of refresh tokens of that authorization."""
CONSENT: Final = "consent:"
"""+ digest of subject, client id and patient: what the user agreed to (`Consent`)."""

# Requests and logins in progress.
TRANSACTION: Final = "transaction:"
"""+ digest of the transaction id: an authorization request that waits for its user (`Transaction`)."""
ANSWERED_REQUEST: Final = "answered:"
"""+ digest of the transaction id: how a request ended (`AnsweredRequest`)."""
SESSION: Final = "session:"
"""+ digest of the session cookie: who signed in (`Session`)."""
SESSION_ALIVE: Final = "session-lives:"
"""+ <session id>: an empty value while the session lasts."""
SESSION_FACTS: Final = "session-facts:"
"""+ <session id>: what lists show of the session (`SessionFacts`), until the latest time at which it ends."""
SESSIONS_OF_USER: Final = "sessions-of:"
"""+ <subject>: the set of the ids of that user's sessions, each until the latest time at which it ends."""
SESSIONS_OF_PROVIDER_SESSION: Final = "sessions-of-provider-session:"
"""+ digest of an OpenID provider's issuer and `sid`: the set of the ids of the sessions that began with it."""
PORTAL_LOGIN: Final = "visit:"
"""+ digest of the OpenID `state`: a login for a page of the gateway itself (`PortalLogin`)."""

# Paging links that are too long to hold their page.
PAGE: Final = "page:"
"""+ digest of the value: a page of a search or history, sealed for one grant (`Sealer.seal_for_store`), as bytes."""

# What apps keep for themselves.
APP_STATE: Final = "app-state:"
"""+ digest of a system of codes and a subject: all app state of that system about the subject (`StoredAppState`)."""

# EHR launches.
LAUNCH: Final = "launch:"
"""+ digest of the `launch` parameter: the context of the launch (`Launch`)."""
OPEN_LAUNCHES: Final = "launches"
"""The whole key: the set of the digests of the `launch` parameters of all launches, each until it ends."""
LAUNCH_REDIRECT: Final = "launch-opening:"
"""+ digest of the redirect token: where the browser goes next (`LaunchRedirect`)."""
LAUNCH_BROWSER: Final = "launch-browser:"
"""+ digest of the `launch` parameter: the digest of the cookie of the browser that the launch belongs to, as text."""

# Administrators.
ADMIN_SESSION: Final = "admin-session:"
"""+ digest of the cookie: who signed in at the admin port (`AdminSession`)."""
ADMIN_LOGIN: Final = "admin-login:"
"""+ digest of the OpenID `state`: a login at a provider for the admin port (`AdminLogin`)."""

# Registered clients and users.
CLIENT: Final = "client:"
"""+ <client id>: the registered metadata of a client."""
CLIENT_IDS: Final = "clients"
"""The whole key: the set of the ids of all registered clients."""
USER: Final = "user:"
"""+ <username>: a local user that was added while the gateway runs."""
USERNAMES: Final = "users"
"""The whole key: the set of the names of all users that were added."""
USER_STATE: Final = "user-state:"
"""+ <subject>: whether the user is disabled, and the generation of their sign-ins (`UserState`)."""
DISABLED_USERS: Final = "disabled-users"
"""The whole key: the set of the subjects of all disabled users."""
CONFIGURED: Final = "configured"
"""The whole key: which users and clients the configuration had when a worker last started (`Configured`)."""

# Single use, counters and keys.
CLIENT_ASSERTION: Final = "jti:"
"""+ digest of issuer and `jti`: an empty value for each client assertion that was used."""
ASSERTIONS_SINCE: Final = "assertions-since"
"""The whole key: since when used client assertions are recorded, in seconds since the epoch, as a decimal number."""
ATTEMPTS: Final = "attempts:"
"""+ digest of the name of what was attempted (the `..._ATTEMPT` names below): how often, as a decimal number."""
ATTEMPT_SLOT: Final = "attempt-slot:"
"""+ digest of the name of what is slowed down: an empty value until the next attempt is allowed."""
KNOWN_PLACE: Final = "known-place:"
"""+ digest of account and place: an empty value while the account is known there (`KnownPlaces`)."""
SIGNING_KEYS: Final = "signing-keys"
"""The whole key: all keys that sign id_tokens (`StoredSigningKeys`)."""

# Names of attempts, as other rooms pass them to `Attempts`. An account is `user:`, `client:`, `launcher:` or
# `administrator:` and a name, or `operator`. A place is an address, the /64 of an IPv6 address, or the digest of a
# browser's cookie.
GUESS_ATTEMPT: Final = "guess:"
"""+ <account>@<place>: wrong secrets of one account from one place, since the last right one."""
ACCOUNT_GUESS_ATTEMPT: Final = "guess-account:"
"""+ <account>: wrong secrets of one account from all places that are not known for it."""
NETWORK_GUESS_ATTEMPT: Final = "guess-network:"
"""+ <kind of account>@<network>: wrong secrets from one network, of accounts that are not known there."""
REQUEST_ATTEMPT: Final = "request:"
"""+ <kind of request>:<who>@<address>: requests that are limited by number."""

# Channels.
ENDED_CHANNEL: Final = "ended-authorizations"
"""Messages are the ids of authorizations and of clients whose access has ended, and `SIGNING_KEYS` where those were
replaced at once; or what gateways are to do with their configuration (`CONFIGURATION_...`)."""
CONFIGURATION_RELOAD: Final = "configuration:reload"
"""Message: read your own configuration again."""
CONFIGURATION_ROLL_BACK: Final = "configuration:roll-back:"
"""Message: + <version>: go back to the configuration before it, where that version is in force."""

# How Redis keys begin (`RedisStore`).
REDIS_PREFIX: Final = "smart-gateway:"
"""The default prefix of all keys and channels, so that several applications can share one Redis."""
REDIS_VALUE: Final = "value:"
"""After the prefix: a value."""
REDIS_SET: Final = "members:"
"""After the prefix: a set, as a sorted set of its members by the end of their lifetime."""
REDIS_CHANNEL: Final = "channel:"
"""After the prefix: a channel."""
REDIS_PING: Final = "ping"
"""After the prefix: the key that readiness checks write."""
