"""Package URLs to CPE names: a row per rule, and the traps."""

import pytest
from packageurl import PackageURL

from shared.matching import purl
from shared.matching.certainty import Certainty
from shared.matching.component import Component
from shared.matching.configurations import from_record
from shared.matching.match import Candidate, match

LIKELY, POSSIBLE = Certainty.LIKELY, Certainty.POSSIBLE

# Package URL, product, limit for criteria of its ecosystem, limit for open criteria.
RULES = [
    ("pkg:npm/qs@6", "qs_project:qs", LIKELY, POSSIBLE),
    ("pkg:npm/debug@2", "debug:debug", LIKELY, None),
    ("pkg:npm/lodash@4", "lodash:lodash", LIKELY, LIKELY),
    ("pkg:npm/%40astrojs/node@1", "astrojs:node", LIKELY, POSSIBLE),
    ("pkg:npm/%40astrojs/node@1", r"astrojs:\@astrojs\/node", LIKELY, POSSIBLE),
    ("pkg:pypi/Django@4", "djangoproject:django", LIKELY, LIKELY),
    ("pkg:pypi/python-multipart@1", "fastapiexpert:python-multipart", LIKELY, LIKELY),
    ("pkg:pypi/some-thing@1", "some-thing_project:some_thing", LIKELY, POSSIBLE),
    ("pkg:gem/rails@6", "rubyonrails:rails", LIKELY, LIKELY),
    ("pkg:gem/actionview@6", "rubyonrails:rails", POSSIBLE, POSSIBLE),
    ("pkg:cargo/tokio@1", "tokio:tokio", LIKELY, LIKELY),
    ("pkg:nuget/Newtonsoft.Json@9", "newtonsoft:json.net", LIKELY, LIKELY),
    ("pkg:nuget/Acme.Tools@9", "acme:tools", LIKELY, POSSIBLE),
    ("pkg:maven/org.apache.logging.log4j/log4j-core@2", "apache:log4j", LIKELY, LIKELY),
    ("pkg:maven/commons-fileupload/commons-fileupload@1", "apache:commons_fileupload", LIKELY, LIKELY),
    ("pkg:maven/com.fasterxml.jackson.core/jackson-databind@2", "fasterxml:jackson-databind", LIKELY, LIKELY),
    ("pkg:maven/com.squareup.okhttp3/okhttp@3", "squareup:okhttp", LIKELY, LIKELY),
    ("pkg:maven/org.springframework/spring-aop@5", "vmware:spring_framework", POSSIBLE, POSSIBLE),
    ("pkg:golang/github.com/hashicorp/consul/api@v1", "hashicorp:consul", LIKELY, LIKELY),
    ("pkg:golang/github.com/go-git/go-git/v5@v5", "go-git_project:go-git", LIKELY, POSSIBLE),
    ("pkg:golang/golang.org/x/crypto@v0", "golang:crypto", LIKELY, LIKELY),
    ("pkg:golang/stdlib@1.20", "golang:go", LIKELY, LIKELY),
    ("pkg:github/curl/curl@8", "curl:curl", LIKELY, LIKELY),
    ("pkg:composer/league/commonmark@2", "thephpleague:commonmark", LIKELY, LIKELY),
    ("pkg:composer/monolog/monolog@2", "monolog:monolog", LIKELY, LIKELY),
    ("pkg:composer/symfony/yaml@5", "sensiolabs:symfony", POSSIBLE, POSSIBLE),
    ("pkg:deb/debian/libssl1.1@1.1.1?upstream=openssl", "openssl:openssl", POSSIBLE, POSSIBLE),
    ("pkg:deb/debian/coreutils@8?upstream=coreutils%408.32-4", "gnu:coreutils", POSSIBLE, POSSIBLE),
    ("pkg:deb/debian/python3.9-minimal@3.9.2", "python:python", POSSIBLE, POSSIBLE),
    ("pkg:rpm/fedora/python3-libs@3.6", "python:python", POSSIBLE, POSSIBLE),
    ("pkg:apk/alpine/musl@1", "musl-libc:musl", POSSIBLE, POSSIBLE),
    ("pkg:alpine/zlib@1", "zlib:zlib", POSSIBLE, POSSIBLE),
    ("pkg:deb/debian/hello@2", "gnu:hello", POSSIBLE, POSSIBLE),
    (
        "pkg:rpm/centos/openssl-libs@1?upstream=openssl-1.0.2k-8.el7.src.rpm",
        "openssl:openssl",
        POSSIBLE,
        POSSIBLE,
    ),
    ("pkg:deb/debian/libc6@2.19-1", "gnu:glibc", POSSIBLE, POSSIBLE),
    ("pkg:deb/debian/zlib1g@1", "zlib:zlib", POSSIBLE, POSSIBLE),
    ("pkg:deb/debian/libpng16-16@1?upstream=libpng1.6", "libpng:libpng", POSSIBLE, POSSIBLE),
    ("pkg:generic/openssl@1.1.1", "openssl:openssl", POSSIBLE, POSSIBLE),
    ("pkg:generic/curl@7", "haxx:curl", POSSIBLE, POSSIBLE),
    ("pkg:docker/redis@3", "redislabs:redis", POSSIBLE, POSSIBLE),
    ("pkg:conda/jinja2@2", "pocoo:jinja2", POSSIBLE, POSSIBLE),
    ("pkg:github/madler/zlib@1", "zlib:zlib", LIKELY, LIKELY),
    ("pkg:npm/deep-extend@0", "deep_extend_project:deep_extend", LIKELY, POSSIBLE),
    ("pkg:pypi/html5lib@1", "html5lib:html5lib", LIKELY, POSSIBLE),
    ("pkg:nuget/Microsoft.AspNetCore.All@2", "microsoft:asp.net_core", POSSIBLE, POSSIBLE),
    ("pkg:maven/org.apache.struts/struts2-rest-plugin@2", "apache:struts", POSSIBLE, POSSIBLE),
    ("pkg:maven/org.keycloak/keycloak-core@10", "redhat:keycloak", POSSIBLE, POSSIBLE),
    ("pkg:maven/org.bouncycastle/bcprov-jdk15on@1", "bouncycastle:bc-java", LIKELY, LIKELY),
]


@pytest.mark.parametrize(("text", "product", "ceiling", "open_ceiling"), RULES)
def test_rule(text, product, ceiling, open_ceiling):
    found = {each.name.product_key: each for each in purl.candidates(PackageURL.from_string(text))}

    candidate = found["a:" + product]
    assert (candidate.ceiling, candidate.open_ceiling) == (ceiling, open_ceiling)


NOT_SUGGESTED = [
    ("pkg:composer/symfony/polyfill-php80@1", "sensiolabs:symfony"),
    ("pkg:composer/symfony/service-contracts@3", "sensiolabs:symfony"),
    ("pkg:maven/org.apache.logging.log4j/log4j-api@2", "apache:log4j"),
    ("pkg:maven/javax.mail/mail@1", "nextcloud:mail"),
    ("pkg:golang/golang.org/x/crypto@v0", "x:crypto"),
    ("pkg:composer/symfony/console@v6", "console_project:console"),
    ("pkg:npm/jquery@3", "jquery.js_project:jquery.js"),
    ("pkg:alpine/libc-utils@0?upstream=libc-dev", "gnu:glibc"),
]


@pytest.mark.parametrize(("text", "product"), NOT_SUGGESTED)
def test_names_that_no_rule_gives(text, product):
    assert "a:" + product not in {
        each.name.product_key for each in purl.candidates(PackageURL.from_string(text))
    }


def affected(component, criteria, **bounds):
    """The certainty with which a component meets a criterion, None when it does not."""
    entry = {"criteria": criteria, "vulnerable": True, **bounds}
    tree, found = from_record([{"nodes": [{"operator": "OR", "cpeMatch": [entry]}]}])
    matches = list(match([component], dict(enumerate(found)), [Candidate(1, tree)]))
    return matches[0].certainty if matches else None


def test_the_npm_package_redis_is_not_the_redis_server():
    server = "cpe:2.3:a:redis:redis:*:*:*:*:*:*:*:*"
    guessed = ("cpe:2.3:a:redis:redis:2.8.0:*:*:*:*:*:*:*", "cpe:2.3:a:*:redis:2.8.0:*:*:*:*:*:*:*")

    assert affected(Component("redis", "2.8.0", "pkg:npm/redis@2.8.0"), server) is None
    assert affected(Component("redis", "2.8.0", "pkg:npm/redis@2.8.0", guessed), server) is None
    assert affected(Component("redis", "2.8.0", cpes=guessed[:1]), server) is Certainty.CONFIRMED


def test_a_package_named_openssl_is_not_openssl():
    library = "cpe:2.3:a:openssl:openssl:*:*:*:*:*:*:*:*"

    for kind in ("pypi", "npm", "gem", "cargo"):
        assert affected(Component("openssl", "1.0.1f", f"pkg:{kind}/openssl@1.0.1f"), library) is None
    for name in ("openssl-python", "pyopenssl", "python-openssl"):
        assert affected(Component(name, "1.0.1f", f"pkg:pypi/{name}@1.0.1f"), library) is None


@pytest.mark.parametrize(
    "name", ["redis", "docker", "elasticsearch", "kubernetes", "memcached", "vault", "mysql"]
)
def test_a_client_is_not_the_server_that_it_is_named_after(name):
    vendors = {"vault": "hashicorp", "mysql": "oracle"}
    server = f"cpe:2.3:a:{vendors.get(name, name)}:{name}:*:*:*:*:*:*:*:*"

    for kind in ("npm", "pypi", "gem", "cargo"):
        assert affected(Component(name, "1.0", f"pkg:{kind}/{name}@1.0"), server) is None
    assert affected(Component(name, "1.0", f"pkg:deb/debian/{name}@1.0-1"), server) in {None, POSSIBLE}


@pytest.mark.parametrize(
    ("text", "certainty"),
    [
        ("pkg:deb/debian/linux-image-6.1.0-9-amd64@6.1.27-1?upstream=linux", POSSIBLE),
        ("pkg:rpm/redhat/kernel@4.18.0-477.el8", POSSIBLE),
        ("pkg:github/torvalds/linux@v4.4", LIKELY),
        ("pkg:generic/linux@4.4", POSSIBLE),
        ("pkg:deb/debian/linux-libc-dev@4.4-1?upstream=linux", None),
        ("pkg:rpm/redhat/kernel-headers@4.18.0-477.el8?upstream=kernel-4.18.0-477.el8.src.rpm", None),
    ],
)
def test_the_linux_kernel_is_an_operating_system(text, certainty):
    assert affected(Component("", purl=text), "cpe:2.3:o:linux:linux_kernel:*:*:*:*:*:*:*:*") is certainty
    assert affected(Component("linux", "4.4"), "cpe:2.3:o:linux:linux_kernel:*:*:*:*:*:*:*:*") is POSSIBLE


def test_javax_mail_is_not_nextcloud_mail():
    mail = Component("mail", "1.4.7", "pkg:maven/javax.mail/mail@1.4.7")

    assert affected(mail, "cpe:2.3:a:nextcloud:mail:*:*:*:*:*:*:*:*") is None


def test_the_target_software_must_agree():
    package = Component("qs", "6.0.0", "pkg:npm/qs@6.0.0")

    assert affected(package, "cpe:2.3:a:qs_project:qs:*:*:*:*:*:node.js:*:*") is LIKELY
    assert affected(package, "cpe:2.3:a:qs_project:qs:*:*:*:*:*:*:*:*") is POSSIBLE
    assert affected(package, "cpe:2.3:a:qs_project:qs:*:*:*:*:*:wordpress:*:*") is None
    assert (
        affected(Component("mail", "1", "pkg:gem/mail@1"), "cpe:2.3:a:mail_project:mail:*:*:*:*:*:ruby:*:*")
        is LIKELY
    )
    assert (
        affected(Component("mail", "1", "pkg:npm/mail@1"), "cpe:2.3:a:mail_project:mail:*:*:*:*:*:ruby:*:*")
        is None
    )


def test_system_packages_are_possible_even_with_a_cpe_name():
    package = Component(
        "openssl",
        "1.1.1n-0+deb11u3",
        "pkg:deb/debian/openssl@1.1.1n-0%2Bdeb11u3",
        ("cpe:2.3:a:openssl:openssl:1.1.1n-0\\+deb11u3:*:*:*:*:*:*:*",),
    )

    assert affected(package, "cpe:2.3:a:openssl:openssl:1.1.1n:*:*:*:*:*:*:*") is POSSIBLE
    assert (
        affected(package, "cpe:2.3:a:openssl:openssl:*:*:*:*:*:*:*:*", versionEndIncluding="1.1.1n")
        is POSSIBLE
    )
    assert (
        affected(package, "cpe:2.3:a:openssl:openssl:*:*:*:*:*:*:*:*", versionEndExcluding="1.1.1n") is None
    )


@pytest.mark.parametrize(
    "text",
    [
        "pkg:npm/%20@1",
        "pkg:pypi/caf%C3%A9@1",
        "pkg:npm/%40/x@1",
        "pkg:golang/x@1",
        "pkg:swid/a/b@1",
        "nonsense",
    ],
)
def test_odd_package_urls_give_names_or_nothing(text):
    assert affected(Component(purl=text), "cpe:2.3:a:x:y:*:*:*:*:*:*:*:*") is None
