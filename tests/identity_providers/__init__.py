"""Login to the SMART server at OpenID providers: real ones, and a hostile one."""
