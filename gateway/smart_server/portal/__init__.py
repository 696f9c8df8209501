"""The portal for signed-in users: login, the app gallery, and the apps with access to their records."""
