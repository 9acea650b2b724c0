"""Prices: the price and its row, decoding and validation of rows, sku ranges, selections, quotes and currencies."""
