"""Login at an OpenID provider, for an app's request or for the portal, and the callback from the provider."""
