"""Authentication and authorization: credentials identify a caller, and each resolver declares the scope that it needs.

scopes         scopes, and grants of them for all price lists or some
callers        a caller: a name and grants
jwks           the keys that verify bearer tokens
tokens         JSON Web Tokens
authenticator  identifies callers by their credentials: tokens, or API keys that `pricebook keys` created
requires       declarations of the scopes that resolvers need
"""
