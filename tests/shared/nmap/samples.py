"""Reports as nmap writes them, made by hand."""

HEAD = (
    '<?xml version="1.0" encoding="UTF-8"?>\n<!DOCTYPE nmaprun>\n'
    '<nmaprun scanner="nmap" args="nmap -sV" version="7.93" xmloutputversion="1.05">\n'
)
FOOT = (
    '<runstats><finished time="1" exit="success"/><hosts up="1" down="0" total="1"/></runstats>\n</nmaprun>\n'
)
TCP = '<scaninfo type="connect" protocol="tcp" numservices="3" services="22,80,443"/>\n'
OPENSSH = (
    '<service name="ssh" product="OpenSSH" version="7.2p2 Ubuntu 4ubuntu2.8" extrainfo="Ubuntu Linux; protocol 2.0" '
    'ostype="Linux" method="probed" conf="10"><cpe>cpe:/a:openbsd:openssh:7.2p2</cpe><cpe>cpe:/o:linux:linux_kernel</cpe>'
    "</service>"
)
NGINX = (
    '<service name="http" product="nginx" version="1.18.0" method="probed" conf="10">'
    "<cpe>cpe:/a:igor_sysoev:nginx:1.18.0</cpe></service>"
)


def port(number, state="open", service="", protocol="tcp"):
    return (
        f'<port protocol="{protocol}" portid="{number}"><state state="{state}" reason="x"/>{service}</port>\n'
    )


def host(address, *ports, state="up", more="", extra="", attributes=""):
    return (
        f'<host {attributes}><status state="{state}" reason="x"/>\n<address addr="{address}" addrtype="ipv4"/>\n'
        f"<ports>{extra}{''.join(ports)}</ports>\n{more}</host>\n"
    )


def extraports(state, numbers=""):
    told = f' proto="tcp" ports="{numbers}"' if numbers else ""
    return f'<extraports state="{state}" count="1"><extrareasons reason="x" count="1"{told}/></extraports>'


def whole(*hosts, scaninfo=TCP, head=HEAD, foot=FOOT):
    return (head + scaninfo + "".join(hosts) + foot).encode()
