"""Who uses the console: sessions of browsers, signing in and out, and what other origins may not do."""
