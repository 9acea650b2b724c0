"""The chart that carries Pricebook to a cluster, and what checks it."""
