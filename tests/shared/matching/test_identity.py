"""Who a component may be: its names, and how far they may be trusted."""

from shared.matching.certainty import Certainty
from shared.matching.component import Component
from shared.matching.criterion import EVERY_PRODUCT, EVERY_VERSION, MUST_COMPARE, NO_VERSION
from shared.matching.identity import Origin, identify, lookup_keys

LOG4J = "pkg:maven/org.apache.logging.log4j/log4j-core@2.14.1"


def given(component):
    return {
        each.name.product_key: (each.ceiling, each.open_ceiling)
        for each in identify(component)
        if each.origin is Origin.CPE
    }


def test_one_name_is_an_assertion():
    component = Component("openssl", "1.0.1f", cpes=("cpe:2.3:a:openssl:openssl:1.0.1f:*:*:*:*:*:*:*",))

    assert given(component) == {"a:openssl:openssl": (Certainty.CONFIRMED, Certainty.CONFIRMED)}


def test_one_name_that_the_package_url_suggests_too_is_confirmed():
    component = Component(purl=LOG4J, cpes=("cpe:2.3:a:apache:log4j:2.14.1:*:*:*:*:*:*:*",))

    assert given(component) == {"a:apache:log4j": (Certainty.CONFIRMED, Certainty.CONFIRMED)}


def test_one_name_that_the_package_url_contradicts_is_likely():
    component = Component(purl="pkg:golang/a.example/y@v1.2.3", cpes=("cpe:2.3:a:x:y:v1.2.3:*:*:*:*:*:*:*",))

    assert given(component) == {"a:x:y": (Certainty.LIKELY, Certainty.LIKELY)}


def test_one_name_beside_a_package_that_is_known_by_another_is_possible():
    """A tool's guess: the Go module, a rewrite with versions of its own, is not the C++ library."""
    component = Component(
        purl="pkg:golang/google.golang.org/protobuf@v1.27.1",
        cpes=("cpe:2.3:a:google:protobuf:v1.27.1:*:*:*:*:*:*:*",),
    )

    assert given(component) == {"a:google:protobuf": (Certainty.LIKELY, Certainty.POSSIBLE)}


def test_several_names_beside_a_package_url_are_guesses():
    names = (
        "cpe:2.3:a:apache:log4j:2.14.1:*:*:*:*:*:*:*",
        "cpe:2.3:a:logging:log4j-core:2.14.1:*:*:*:*:*:*:*",
    )

    assert given(Component(purl=LOG4J, cpes=names)) == {
        "a:apache:log4j": (Certainty.LIKELY, Certainty.LIKELY),
        "a:logging:log4j-core": (Certainty.LIKELY, Certainty.POSSIBLE),
    }


def test_several_names_alone_are_assertions():
    names = ("cpe:2.3:a:redis:redis:7.0:*:*:*:*:*:*:*", "cpe:2.3:a:redislabs:redis:7.0:*:*:*:*:*:*:*")

    assert set(given(Component("redis", "7.0", cpes=names)).values()) == {
        (Certainty.CONFIRMED, Certainty.CONFIRMED)
    }


def test_names_of_no_single_product_and_unreadable_ones_are_passed_over():
    assert identify(Component(cpes=("cpe:2.3:a:*:node:14:*:*:*:*:*:*:*", "nonsense", "cpe:2.3:a:x"))) == ()


def test_old_uris_are_read_as_well():
    assert list(given(Component(cpes=("cpe:/a:openbsd:openssh:7.2p2",)))) == ["a:openbsd:openssh"]


def test_whoever_collected_a_component_may_set_a_limit():
    component = Component(cpes=("cpe:2.3:a:x:y:1:*:*:*:*:*:*:*",), at_most=Certainty.POSSIBLE)

    assert given(component) == {"a:x:y": (Certainty.POSSIBLE, Certainty.POSSIBLE)}


def test_a_mere_name_is_possible():
    (vendor, project) = identify(Component("Some Program", "1.0"))

    assert (vendor.name.product_key, vendor.ceiling) == ("a:some_program:some_program", Certainty.POSSIBLE)
    assert project.name.product_key == "a:some_program_project:some_program"


def test_a_mere_name_of_a_program_is_what_the_program_is_called():
    assert [each.name.product_key for each in identify(Component("curl", "7.68.0"))] == [
        "a:haxx:curl",
        "a:haxx:libcurl",
    ]


def test_a_name_that_ends_in_its_version_is_a_package_of_a_distribution():
    """So some tools list what lies in an image, with neither a package URL nor a CPE name."""
    (found,) = identify(Component("libssl1.1-1.1.1f-1ubuntu2.10", "1.1.1f-1ubuntu2.10"))

    assert (found.name.product_key, found.version) == ("a:openssl:openssl", "1.1.1f")
    assert (found.origin, found.ceiling) == (Origin.NAME, Certainty.POSSIBLE)


def test_the_version_comes_from_the_name_its_update_joined_or_from_the_component():
    def version(name, own=""):
        return identify(Component("y", own, cpes=(name,)))[0].version

    assert version("cpe:2.3:a:x:y:7.2:p2:*:*:*:*:*:*") == "7.2-p2"
    assert version("cpe:2.3:a:x:y:12.2\\(2\\):*:*:*:*:*:*:*") == "12.2(2)"
    assert version("cpe:2.3:a:x:y:*:*:*:*:*:*:*:*", "3.1") == "3.1"
    assert version("cpe:2.3:a:x:y:-:*:*:*:*:*:*:*", "3.1") == "3.1"
    assert version("cpe:2.3:a:x:y:-:*:*:*:*:*:*:*") == ""


def test_nothing_is_nobody():
    assert identify(Component()) == ()
    assert lookup_keys([Component()]) == {(EVERY_PRODUCT, MUST_COMPARE)}


def test_keys_of_an_application():
    keys = lookup_keys([Component(cpes=("cpe:2.3:a:openbsd:openssh:7.2p2:*:*:*:*:*:*:*",))])

    product = "a:openbsd:openssh"
    assert keys == {
        (EVERY_PRODUCT, MUST_COMPARE),
        (product, MUST_COMPARE),
        (product, NO_VERSION),
        (product, "7.2.p.2"),
        (product, "7.2"),
    }


def test_a_platform_of_unknown_version_asks_for_all_of_its_product():
    assert ("o:microsoft:windows_10", EVERY_VERSION) in lookup_keys(
        [Component(cpes=("cpe:2.3:o:microsoft:windows_10:*:*:*:*:*:*:*:*",))]
    )
