"""Shadow mode: requests that are decided and judged as ever, and answered without being held to it."""
