"""The users of the console: sessions of browsers, their scopes, and the guard against other origins."""
