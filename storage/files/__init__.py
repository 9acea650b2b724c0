"""Files of prices: NDJSON, CSV and compression, and the sources of rows."""
