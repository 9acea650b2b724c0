"""Files of prices: NDJSON, CSV, compression, and the sources that rows come from."""
