"""Who calls, and what they may do: credentials become a caller, and each resolver names the scope that it needs.

scopes         scopes, and grants of them for all lists or some
callers        a caller: a name, and what was granted
jwks           the keys that bearer tokens are signed with
tokens         JSON Web Tokens
api_keys       the keys that `pricebook keys` creates
authenticator  credentials to callers
needs          what a resolver needs, declared at the resolver
"""
