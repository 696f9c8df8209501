"""The command `keys rotate`: the keys that sign id_tokens."""

from cyclopts import App

from gateway.commands.options import AddressOption, ConfigOption, admin_api

keys = App(name="keys", help="The keys that id_tokens are signed with.")


@keys.command(name="rotate")
def rotate_keys(*, now: bool = False, config: ConfigOption = None, address: AddressOption = None) -> None:
    """Make the next signing key. It is published at once and signs in an hour; the old one stays as long as needed.

    Parameters
    ----------
    now
        For a leaked key: the new key signs at once, and no other is published or used any more.
    """
    with admin_api(config, address) as api:
        response = api.request("POST", "/keys/rotate?now=true" if now else "/keys/rotate")
    print(f"Published: {', '.join(response['keys'])}. The last of them signs from {response['signs_from']:.0f} on.")
