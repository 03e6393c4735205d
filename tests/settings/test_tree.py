from portward.settings.endpoint import EndpointSettings
from portward.settings.sections import GateSettings
from portward.settings.tree import Settings


def test_nothing_set_is_development_on_this_machine() -> None:
    """The bare tree listens on the loopback address alone."""
    settings = Settings()
    assert not settings.production
    assert (settings.server.host, settings.server.port) == ("127.0.0.1", 8080)
    assert (settings.server.admin_host, settings.server.admin_port) == ("127.0.0.1", 8081)
    assert (settings.engine.url, settings.engine_url) == (None, "memory://")


def test_origins_come_from_the_nearest_list() -> None:
    """The endpoint's own list, else the gate's."""
    own, bare = EndpointSettings(allowed_origins=("https://a.example",)), EndpointSettings()
    general = Settings(gate=GateSettings(allowed_origins=("https://b.example",)))
    assert general.origins(own) == ("https://a.example",)
    assert general.origins(bare) == ("https://b.example",)
    assert Settings().origins(bare) == ()


def test_two_bare_trees_share_no_tables() -> None:
    """The mappings of one tree are not those of another."""
    assert Settings().endpoints is not Settings().endpoints
    assert Settings().namespaces is not Settings().namespaces
    assert Settings().identity_provider.topics is not Settings().identity_provider.topics
    assert Settings().upstream.pin is not Settings().upstream.pin
