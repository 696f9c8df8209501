"""The stores: in memory, or in Redis as standalone server, Sentinel or Cluster."""
