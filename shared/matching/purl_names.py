"""Names that no rule finds: what NVD calls packages of note, and programs that packages are not.

Facts, each to be seen in the CPE dictionary; `vendor:product` in its spelling. Add to them freely: a name
that is missing here is found by the rules of `shared.matching.purl`, with less certainty or not at all.
"""


def _table(text: str) -> dict[str, tuple[str, ...]]:
    """Lines of ``package = vendor:product vendor:product``."""
    rows = (line.partition(" = ") for line in text.strip().splitlines())
    return {package.strip(): tuple(names.split()) for package, _, names in rows}


def _names(text: str) -> frozenset[str]:
    """Names separated by blanks."""
    return frozenset(text.split())


KNOWN: dict[str, dict[str, tuple[str, ...]]] = {
    "npm": _table(r"""
        angular = angularjs:angular.js angularjs:angularjs google:angularjs
        axios = axios:axios
        body-parser = openjsf:body-parser
        bootstrap = getbootstrap:bootstrap
        codemirror = codemirror:codemirror
        dompurify = cure53:dompurify
        ejs = ejs:ejs mde:ejs
        electron = electronjs:electron atom:electron
        engine.io = socket:engine.io
        engine.io-client = socket:engine.io-client
        express = expressjs:express openjsf:express
        express-jwt = auth0:express-jwt
        follow-redirects = follow-redirects:follow-redirects
        fresh = fresh_project:fresh
        glob-parent = gulpjs:glob-parent
        handlebars = handlebarsjs:handlebars handlebars.js_project:handlebars.js
        highlight.js = highlightjs:highlight.js
        hoek = hapijs:hoek hapi:hoek
        ip = fedorindutny:ip
        jquery = jquery:jquery
        jquery-ui = jquery:jquery_ui jqueryui:jquery_ui
        json5 = json5:json5
        jsonwebtoken = auth0:jsonwebtoken
        loader-utils = webpack.js:loader-utils
        lodash = lodash:lodash
        macaddress = node-macaddress_project:node-macaddress
        marked = marked:marked marked_project:marked
        method-override = expressjs:method-override
        micromatch = jonschlinkert:micromatch
        minimist = substack:minimist
        moment = momentjs:moment
        mongoose = mongoosejs:mongoose
        ms = vercel:ms zeit:ms
        mustache = mustache.js_project:mustache.js
        next = vercel:next.js zeit:next.js
        npm = npmjs:npm
        path-to-regexp = pillarjs:path-to-regexp
        postcss = postcss:postcss
        react = facebook:react
        react-dom = facebook:react
        sanitize-html = apostrophecms:sanitize-html punkave:sanitize-html
        semver = npmjs:semver
        sequelize = sequelizejs:sequelize
        serialize-javascript = verizon:serialize-javascript
        serialize-to-js = serialize-to-js_project:serialize-to-js
        socket.io = socket:socket.io
        socket.io-parser = socket:socket.io-parser
        sshpk = joyent:sshpk
        tar = npmjs:tar node-tar_project:node-tar
        terser = terser:terser
        tinymce = tiny:tinymce tinymce:tinymce
        tough-cookie = salesforce:tough-cookie
        ua-parser-js = ua-parser_project:ua-parser ua-parser-js_project:ua-parser-js
        uglify-js = uglifyjs_project:uglifyjs
        underscore = underscorejs:underscore
        undici = nodejs:undici
        vue = vuejs:vue vuejs:vue.js
    """),
    "pypi": _table(r"""
        aiohttp = aiohttp:aiohttp aiohttp_project:aiohttp
        ansible = redhat:ansible ansible:ansible
        apache-airflow = apache:airflow
        apache-libcloud = apache:libcloud
        apache-superset = apache:superset
        babel = pocoo:babel
        bleach = mozilla:bleach
        bottle = bottlepy:bottle
        celery = celeryproject:celery
        certifi = certifi:certifi kennethreitz:certifi
        cinder = openstack:cinder
        cryptography = cryptography.io:cryptography cryptography:python-cryptography cryptography_project:cryptography
        django = djangoproject:django
        djangorestframework = encode:django_rest_framework django-rest-framework:django-rest-framework
        ecdsa = python-ecdsa_project:python-ecdsa
        eventlet = eventlet:eventlet
        fastapi = tiangolo:fastapi
        feedparser = mark_pilgrim:feedparser
        filelock = tox-dev:filelock
        flask = palletsprojects:flask pocoo:flask
        glance = openstack:glance
        graphite-web = graphite_project:graphite
        grpcio = grpc:grpc
        gunicorn = gunicorn:gunicorn
        heat = openstack:heat
        horizon = openstack:horizon
        ipython = ipython:ipython
        jinja2 = palletsprojects:jinja pocoo:jinja2
        jupyterhub = jupyter:jupyterhub
        keyring = python:keyring
        keystone = openstack:keystone
        lxml = lxml:lxml
        mailman = gnu:mailman
        mako = sqlalchemy:mako makotemplates:mako
        mercurial = mercurial:mercurial
        mercurial-scm = mercurial:mercurial
        moin = moinmo:moinmoin
        neutron = openstack:neutron
        nltk = nltk:nltk
        notebook = jupyter:notebook
        nova = openstack:nova
        numpy = numpy:numpy
        oslo.middleware = openstack:oslo.middleware
        pandas = numfocus:pandas
        paramiko = paramiko:paramiko
        pillow = python:pillow
        pip = pypa:pip pip-installer:pip
        plone = plone:plone
        protobuf = google:protobuf google:protobuf-python
        py = pytest:py
        pycrypto = dlitz:pycrypto pycrypto:pycrypto
        pycryptodome = pycryptodome:pycryptodome
        pygments = pygments:pygments
        pymongo = mongodb:pymongo
        pyopenssl = pyopenssl:pyopenssl pyopenssl_project:pyopenssl
        python-keystoneclient = openstack:python-keystoneclient
        python-multipart = fastapiexpert:python-multipart
        pyyaml = pyyaml:pyyaml
        redis = redis:redis-py
        reportlab = reportlab:reportlab
        requests = python:requests python-requests:requests
        roundup = roundup-tracker:roundup
        rsa = python:rsa python-rsa_project:python-rsa
        salt = saltstack:salt
        scipy = scipy:scipy
        scrapy = scrapy:scrapy
        setuptools = python:setuptools
        sqlalchemy = sqlalchemy:sqlalchemy
        starlette = encode:starlette
        supervisor = supervisord:supervisor
        swift = openstack:swift
        tensorflow = google:tensorflow
        torch = linuxfoundation:pytorch facebook:pytorch
        tornado = tornadoweb:tornado
        trac = edgewall:trac
        twisted = twistedmatrix:twisted twisted:twisted
        ujson = ultrajson_project:ultrajson
        urllib3 = python:urllib3
        uvicorn = encode:uvicorn
        virtualenv = virtualenv:virtualenv
        wagtail = torchbox:wagtail
        waitress = agendaless:waitress
        werkzeug = palletsprojects:werkzeug
        zope = zope:zope
        zope2 = zope:zope
    """),
    "gem": _table(r"""
        actionpack = rubyonrails:actionpack
        activerecord = rubyonrails:activerecord rubyonrails:active_record
        activesupport = rubyonrails:activesupport activesupport_project:activesupport
        bson = mongodb:bson
        bundler = bundler:bundler
        chef = opscode:chef
        devise = plataformatec:devise heartcombo:devise
        jquery-rails = rubyonrails:jquery-rails
        json = rubygems:json_gem ruby-lang:json
        loofah = loofah_project:loofah flavorjones:loofah
        nokogiri = nokogiri:nokogiri
        omniauth = omniauth:omniauth
        paperclip = thoughtbot:paperclip
        passenger = phusion:passenger phusionpassenger:phusion_passenger
        puma = puma:puma
        puppet = puppet:puppet puppetlabs:puppet
        rack = rack:rack rack_project:rack
        rails = rubyonrails:rails rubyonrails:ruby_on_rails
        rails-html-sanitizer = rubyonrails:html_sanitizer rubyonrails:rails_html_sanitizers
        rdoc = ruby-lang:rdoc dave_thomas:rdoc
        rubygems-update = rubygems:rubygems
        sidekiq = contribsys:sidekiq
        sinatra = sinatrarb:sinatra
        webrick = ruby-lang:webrick
        yard = yardoc:yard
    """),
    "cargo": _table(r"""
        actix-web = actix:actix-web
        base64 = rust-base64_project:rust-base64
        bytes = tokio-rs:bytes
        hyper = hyper:hyper
        openssl = rust-openssl_project:rust-openssl
        regex = rust-lang:regex
        smallvec = servo:smallvec
        tokio = tokio:tokio
        wasmtime = bytecodealliance:wasmtime
    """),
    "nuget": _table(r"""
        bootstrap = getbootstrap:bootstrap
        dotnetnuke.core = dnnsoftware:dotnetnuke dotnetnuke:dotnetnuke
        dotnetzip = dotnetzip.semverd_project:dotnetzip.semverd
        jquery = jquery:jquery
        log4net = apache:log4net
        newtonsoft.json = newtonsoft:json.net
        restsharp = restsharp:restsharp
        sharpziplib = sharpziplib_project:sharpziplib
        yamldotnet = yamldotnet_project:yamldotnet
    """),
    "composer": _table(r"""
        codeigniter/framework = codeigniter:codeigniter
        composer/composer = getcomposer:composer
        doctrine/dbal = doctrine-project:dbal
        doctrine/orm = doctrine-project:orm doctrine-project:object_relational_mapper
        drupal/core = drupal:drupal
        drupal/drupal = drupal:drupal
        ezyang/htmlpurifier = htmlpurifier:htmlpurifier
        guzzlehttp/guzzle = guzzlephp:guzzle
        guzzlehttp/psr7 = guzzlephp:psr-7
        laravel/framework = laravel:framework laravel:laravel
        league/commonmark = thephpleague:commonmark
        league/flysystem = thephpleague:flysystem
        magento/community-edition = magento:magento
        magento/product-community-edition = magento:magento
        mediawiki/core = mediawiki:mediawiki
        moodle/moodle = moodle:moodle
        phpmailer/phpmailer = phpmailer_project:phpmailer
        roundcube/roundcubemail = roundcube:webmail roundcube:roundcube_webmail
        smarty/smarty = smarty:smarty
        symfony/symfony = sensiolabs:symfony
        tecnickcom/tcpdf = tecnick:tcpdf tcpdf_project:tcpdf
        twig/twig = symfony:twig
        typo3/cms = typo3:typo3
        typo3/cms-core = typo3:typo3
        yiisoft/yii2 = yiiframework:yii yiiframework:yiiframework
        zendframework/zend-cache = zend:zend-cache
        zendframework/zend-diactoros = zend:diactoros
        zendframework/zend-mail = zend:zend-mail
        zendframework/zendframework = zend:zend_framework
    """),
    "golang": _table(r"""
        github.com/containerd/containerd = linuxfoundation:containerd
        github.com/coreos/etcd = etcd:etcd redhat:etcd coreos:etcd
        github.com/dgrijalva/jwt-go = jwt-go_project:jwt-go
        github.com/docker/docker = docker:docker mobyproject:moby
        github.com/gorilla/handlers = gorillatoolkit:handlers
        github.com/gorilla/websocket = gorillatoolkit:websocket
        github.com/miekg/dns = miekg-dns_prject:miekg-dns
        github.com/moby/moby = mobyproject:moby docker:docker
        github.com/opencontainers/runc = linuxfoundation:runc docker:runc opencontainers:runc
        go.etcd.io/etcd = etcd:etcd redhat:etcd
        golang.org/x/crypto = golang:crypto golang:package_ssh
        golang.org/x/net = golang:net golang:http2
        golang.org/x/text = golang:text
        google.golang.org/protobuf = golang:protobuf
        gopkg.in/yaml.v2 = yaml_project:yaml
        gopkg.in/yaml.v3 = yaml_project:yaml
        helm.sh/helm = helm:helm
        istio.io/istio = istio:istio
        k8s.io/kubernetes = kubernetes:kubernetes
        std = golang:go
        stdlib = golang:go
    """),
    "maven": _table(r"""
        ch.qos.logback/logback-classic = qos:logback
        ch.qos.logback/logback-core = qos:logback
        com.google.protobuf/protobuf-java = google:protobuf google:protobuf-java
        com.h2database/h2 = h2database:h2
        com.nimbusds/nimbus-jose-jwt = connect2id:nimbus_jose\+jwt
        com.thoughtworks.xstream/xstream = xstream_project:xstream xstream:xstream
        dom4j/dom4j = dom4j_project:dom4j
        io.netty/netty-all = netty:netty
        io.netty/netty-codec-http = netty:netty
        io.undertow/undertow-core = redhat:undertow
        log4j/log4j = apache:log4j
        mysql/mysql-connector-java = oracle:mysql_connector\/j oracle:mysql_connectors oracle:connector\/j
        net.minidev/json-smart = json-smart_project:json-smart json-smart_project:json-smart-v2
        org.apache.activemq/activemq-broker = apache:activemq
        org.apache.santuario/xmlsec = apache:santuario_xml_security_for_java apache:xml_security_for_java
        org.apache.struts/struts2-core = apache:struts
        org.apache.thrift/libthrift = apache:thrift
        org.apache.tomcat.embed/tomcat-embed-core = apache:tomcat
        org.apache.tomcat/tomcat-catalina = apache:tomcat
        org.apache.tomcat/tomcat-coyote = apache:tomcat
        org.apache.xmlrpc/xmlrpc-client = apache:ws-xmlrpc apache:xml-rpc
        org.apache.xmlrpc/xmlrpc-common = apache:ws-xmlrpc apache:xml-rpc
        org.bouncycastle/bcprov-jdk14 = bouncycastle:legion-of-the-bouncy-castle-java-crytography-api bouncycastle:bc-java
        org.bouncycastle/bcprov-jdk15 = bouncycastle:legion-of-the-bouncy-castle-java-crytography-api bouncycastle:bc-java
        org.bouncycastle/bcprov-jdk15on = bouncycastle:legion-of-the-bouncy-castle-java-crytography-api bouncycastle:bc-java
        org.bouncycastle/bcprov-jdk15to18 = bouncycastle:legion-of-the-bouncy-castle-java-crytography-api bouncycastle:bc-java
        org.bouncycastle/bcprov-jdk16 = bouncycastle:legion-of-the-bouncy-castle-java-crytography-api bouncycastle:bc-java
        org.bouncycastle/bcprov-jdk18on = bouncycastle:legion-of-the-bouncy-castle-java-crytography-api bouncycastle:bc-java
        org.codehaus.groovy/groovy = apache:groovy
        org.codehaus.groovy/groovy-all = apache:groovy
        org.eclipse.jetty/jetty-server = eclipse:jetty
        org.hibernate.validator/hibernate-validator = redhat:hibernate_validator hibernate:hibernate-validator
        org.hibernate/hibernate-core = hibernate:hibernate_orm redhat:hibernate_orm
        org.hibernate/hibernate-validator = redhat:hibernate_validator hibernate:hibernate-validator
        org.infinispan/infinispan-core = infinispan:infinispan redhat:infinispan
        org.jboss.resteasy/resteasy-core = redhat:resteasy
        org.jboss.resteasy/resteasy-jaxrs = redhat:resteasy
        org.keycloak/keycloak-services = redhat:keycloak keycloak:keycloak
        org.postgresql/postgresql = postgresql:postgresql_jdbc_driver
        org.quartz-scheduler/quartz = softwareag:quartz terracotta:quartz_scheduler
        org.springframework.security/spring-security-core = vmware:spring_security pivotal_software:spring_security
        org.springframework/spring-core = vmware:spring_framework pivotal_software:spring_framework
        org.yaml/snakeyaml = snakeyaml_project:snakeyaml
        xalan/xalan = apache:xalan-java
        xerces/xercesImpl = apache:xerces2_java apache:xerces-j
    """),
    "github": _table(r"""
        curl/curl = haxx:curl haxx:libcurl
        madler/zlib = zlib:zlib gnu:zlib
        nginx/nginx = nginx:nginx f5:nginx
        nodejs/node = nodejs:node.js
        openssh/openssh-portable = openbsd:openssh
        python/cpython = python:python
        redis/redis = redis:redis redislabs:redis
        sqlite/sqlite = sqlite:sqlite
        torvalds/linux = linux:linux_kernel
    """),
}
"""By package URL type and package (namespace and name joined by a slash)."""

MAVEN_VENDORS = _table(r"""
    ch.qos = qos
    com.fasterxml = fasterxml
    com.google = google
    com.h2database = h2database
    commons = apache
    io.netty = netty
    io.undertow = redhat
    io.vertx = eclipse
    javax = oracle sun
    org.apache = apache
    org.bouncycastle = bouncycastle
    org.codehaus.groovy = apache
    org.eclipse = eclipse
    org.elasticsearch = elastic elasticsearch
    org.glassfish = oracle eclipse
    org.hibernate = hibernate redhat
    org.infinispan = infinispan redhat
    org.jboss = redhat jboss
    org.jenkins-ci = jenkins
    org.keycloak = redhat keycloak
    org.springframework = vmware pivotal_software pivotal springsource
    org.wildfly = redhat
""")
"""Vendors by the beginning of a Maven group; the longest beginning counts."""

_SYMFONY = _names("""
    asset browser-kit cache config console css-selector debug dependency-injection dom-crawler error-handler
    event-dispatcher expression-language filesystem finder form framework-bundle http-client http-foundation
    http-kernel intl ldap lock mailer messenger mime notifier options-resolver process property-access
    property-info routing security security-bundle security-core security-csrf security-guard security-http
    serializer stopwatch string templating translation twig-bridge twig-bundle uid validator var-dumper
    web-profiler-bundle workflow yaml
""")

SUITES: dict[str, dict[str, tuple[str, ...]]] = {
    "gem": _table(r"""
        actioncable = rubyonrails:rails
        actionmailer = rubyonrails:rails
        actionpack = rubyonrails:rails rubyonrails:ruby_on_rails
        actionview = rubyonrails:rails
        activejob = rubyonrails:rails
        activemodel = rubyonrails:rails
        activerecord = rubyonrails:rails rubyonrails:ruby_on_rails
        activestorage = rubyonrails:rails
        activesupport = rubyonrails:rails
        railties = rubyonrails:rails
    """),
    "composer": _table(r"""
        illuminate/ = laravel:framework
    """)
    | {f"symfony/{component}": ("sensiolabs:symfony",) for component in _SYMFONY},
    "nuget": _table(r"""
        microsoft.aspnetcore.all = microsoft:asp.net_core
        microsoft.aspnetcore.app = microsoft:asp.net_core
        microsoft.aspnetcore.http = microsoft:asp.net_core
        microsoft.aspnetcore.mvc = microsoft:asp.net_core
        microsoft.aspnetcore.mvc.core = microsoft:asp.net_core
        microsoft.aspnetcore.server.kestrel.core = microsoft:asp.net_core
    """),
    "maven": _table(r"""
        io.netty/ = netty:netty
        org.apache.activemq/ = apache:activemq
        org.apache.camel/ = apache:camel
        org.apache.cxf/ = apache:cxf
        org.apache.hadoop/ = apache:hadoop
        org.apache.kafka/ = apache:kafka
        org.apache.poi/ = apache:poi
        org.apache.struts/ = apache:struts
        org.apache.tika/ = apache:tika
        org.apache.tomcat.embed/ = apache:tomcat
        org.apache.tomcat/ = apache:tomcat
        org.bouncycastle/ = bouncycastle:legion-of-the-bouncy-castle-java-crytography-api
        org.eclipse.jetty/ = eclipse:jetty
        org.jboss.resteasy/ = redhat:resteasy
        org.keycloak/ = redhat:keycloak keycloak:keycloak
        org.springframework.boot/ = vmware:spring_boot
        org.springframework.security/ = vmware:spring_security pivotal_software:spring_security
        org.springframework/ = vmware:spring_framework pivotal_software:spring_framework
    """),
}
"""Packages released together with a product that NVD names as a whole: the flaw may be in a sibling.

A name with a slash at its end means all of a namespace.
"""

SYSTEM: dict[str, tuple[str, ...]] = _table(r"""
    acl = xfs:acl
    apache2 = apache:http_server
    apt = debian:apt
    bash = gnu:bash
    bind = isc:bind
    bind9 = isc:bind
    busybox = busybox:busybox
    bzip2 = bzip:bzip2 bzip2:bzip2
    conntrack = netfilter:conntrack-tools
    coreutils = gnu:coreutils
    cups = apple:cups
    curl = haxx:curl haxx:libcurl
    cyrus-sasl = cmu:cyrus-sasl cyrusimap:cyrus-sasl
    dbus = freedesktop:dbus d-bus_project:d-bus
    dnsmasq = thekelleys:dnsmasq
    dpkg = debian:dpkg
    e2fsprogs = e2fsprogs_project:e2fsprogs ext2_filesystems_utilities:e2fsprogs
    elfutils = elfutils_project:elfutils
    exim4 = exim:exim
    expat = libexpat_project:libexpat libexpat:expat
    file = file_project:file
    freetype = freetype:freetype
    ghostscript = artifex:ghostscript
    git = git:git git-scm:git
    glib2.0 = gnome:glib
    glibc = gnu:glibc
    gnupg = gnupg:gnupg
    gnupg2 = gnupg:gnupg
    gnutls28 = gnu:gnutls
    gpgv = gnupg:gnupg
    gzip = gnu:gzip gzip:gzip
    heimdal = heimdal_project:heimdal heimdal:heimdal kth:heimdal
    httpd = apache:http_server
    icu = icu-project:international_components_for_unicode
    iproute2 = iproute2_project:iproute2
    iptables = netfilter:iptables
    iputils = iputils:iputils skbuff:iputils
    isc-dhcp = isc:dhcp
    java-openjdk = oracle:openjdk
    knot = nic:knot_resolver knot-dns:knot_dns
    krb5 = mit:kerberos_5
    libbz2 = bzip:bzip2 bzip2:bzip2
    libc-bin = gnu:glibc
    libc-dev-bin = gnu:glibc
    libc6 = gnu:glibc
    libc6-dev = gnu:glibc
    libcom-err = e2fsprogs_project:e2fsprogs
    libcrypto = openssl:openssl
    libcurl = haxx:libcurl haxx:curl
    libdbus = freedesktop:dbus d-bus_project:d-bus
    libelf = elfutils_project:elfutils
    libexpat = libexpat_project:libexpat libexpat:expat
    libfreetype = freetype:freetype
    libgcrypt = gnupg:libgcrypt
    libgcrypt20 = gnupg:libgcrypt
    libgd = libgd:libgd libgd:gd_graphics_library
    libglib = gnome:glib
    libgnutls = gnu:gnutls
    libgssapi-krb5 = mit:kerberos_5
    libhogweed = nettle_project:nettle
    libk5crypto = mit:kerberos_5
    libkrb = mit:kerberos_5
    libkrb5support = mit:kerberos_5
    libldap = openldap:openldap
    liblz4 = yann_collet:lz4
    liblzma = tukaani:xz
    libmount = kernel:util-linux
    libncurses = gnu:ncurses
    libncursesw = gnu:ncurses
    libnettle = nettle_project:nettle
    libpam = linux-pam:linux-pam kernel:linux-pam
    libpcap = tcpdump:libpcap
    libpcre = pcre:pcre
    libpcre2 = pcre:pcre2
    libpng = libpng:libpng
    libprocps = procps-ng_project:procps-ng procps_project:procps
    libpython = python:python
    libressl = openbsd:libressl
    librtmp = rtmpdump_project:rtmpdump
    libsqlite = sqlite:sqlite
    libssh2 = libssh2:libssh2
    libssl = openssl:openssl
    libsystemd = systemd_project:systemd freedesktop:systemd
    libtasn1-6 = gnu:libtasn1
    libtiff = libtiff:libtiff
    libtinfo = gnu:ncurses
    libudev = systemd_project:systemd freedesktop:systemd
    libxml2 = xmlsoft:libxml2
    libxslt = xmlsoft:libxslt
    kernel = linux:linux_kernel
    linux = linux:linux_kernel
    login = debian:shadow shadow_project:shadow
    lz4 = yann_collet:lz4
    mariadb = mariadb:mariadb
    musl = musl-libc:musl
    mysql = oracle:mysql mysql:mysql
    ncurses = gnu:ncurses
    net-snmp = net-snmp:net-snmp
    nettle = nettle_project:nettle
    nginx = nginx:nginx f5:nginx
    node = nodejs:node.js
    nodejs = nodejs:node.js
    nss = mozilla:network_security_services mozilla:nss
    openjdk = oracle:openjdk
    openldap = openldap:openldap
    openssh = openbsd:openssh
    openssl = openssl:openssl
    pam = linux-pam:linux-pam kernel:linux-pam
    passwd = debian:shadow shadow_project:shadow
    pcre = pcre:pcre
    pcre2 = pcre:pcre2
    pcre3 = pcre:pcre
    perl = perl:perl
    php = php:php
    postgresql = postgresql:postgresql
    procps = procps-ng_project:procps-ng procps_project:procps
    python = python:python
    redis = redis:redis redislabs:redis pivotal_software:redis
    rsync = samba:rsync
    rtmpdump = rtmpdump_project:rtmpdump
    ruby = ruby-lang:ruby
    samba = samba:samba
    shadow = debian:shadow shadow_project:shadow
    sqlite = sqlite:sqlite
    sudo = sudo_project:sudo todd_miller:sudo
    systemd = systemd_project:systemd freedesktop:systemd
    tar = gnu:tar
    tcpdump = tcpdump:tcpdump
    tiff = libtiff:libtiff
    util-linux = kernel:util-linux
    vim = vim:vim
    wget = gnu:wget
    wpa = w1.fi:wpa_supplicant w1.fi:hostapd
    wpa-supplicant = w1.fi:wpa_supplicant
    xz = tukaani:xz
    xz-utils = tukaani:xz
    zlib = zlib:zlib gnu:zlib
    zlib1g = zlib:zlib gnu:zlib
    zlib1g-dev = zlib:zlib gnu:zlib
""")
"""Programs and packages of distributions, a version at the end of the name taken off."""

OPERATING_SYSTEMS = _names("linux:linux_kernel")
"""Names above whose CPE part is `o`."""

OTHER_PROGRAMS = _names("""
    apache:cassandra apache:couchdb apache:hadoop apache:http_server apache:kafka apache:solr apache:spark
    apache:zookeeper cassandra:cassandra couchdb:couchdb curl:curl docker:docker elastic:elasticsearch
    elasticsearch:elasticsearch ffmpeg:ffmpeg git-scm:git git:git gnu:bash gnu:tar golang:go
    graphicsmagick:graphicsmagick haxx:curl haxx:libcurl imagemagick:imagemagick jenkins:jenkins
    kubernetes:kubernetes libpng:libpng memcached:memcached mongodb:mongodb mosquitto:mosquitto mysql:mysql
    nginx:nginx nodejs:node.js openbsd:openssh openldap:openldap openssh:openssh openssl:openssl oracle:mysql
    perl:perl php:php postgresql:postgresql python:python rabbitmq:rabbitmq redis:redis redislabs:redis
    ruby-lang:ruby samba:samba sqlite:sqlite sudo:sudo vault:vault hashicorp:vault zlib:zlib
""")
"""Programs whose names packages reuse for clients: the npm package `redis` is not the Redis server."""
