"""`pricebook serve`: sockets, workers, metrics and a graceful shutdown."""
