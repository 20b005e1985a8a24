"""tests/lab/routing_test.py: which host and family a domain's mail goes to."""
from scripted import Script, Scripted, Wait


def single(lab, records, v4=None, v6=None, domain=None, config=""):
    """A domain with `records` ({d}: its name), served at one address; the message must come there."""
    n = lab.number()
    domain = domain or f"d{n}.example"
    address = v4 or v6
    if address and address not in lab.mx_host.v4 + lab.mx_host.v6:
        lab.mx_host.add_address(address)
    server = lab.server(address)
    lab.dns.add(*[r.format(d=domain) for r in records])
    lab.relay(config)
    lab.send(f"b@{domain}")
    server.wait_message(f"b@{domain}", 10)


def test_ipv6_only_mx(lab):
    single(lab, ["{d}. MX 10 m6.{d}.", "m6.{d}. AAAA 2001:db8:3::a:1"], v6="2001:db8:3::a:1")


def test_ipv4_only_mx(lab):
    single(lab, ["{d}. MX 10 m4.{d}.", "m4.{d}. A 203.0.113.251"], v4="203.0.113.251")


def test_implicit_mx_ipv6(lab):
    single(lab, ["{d}. AAAA 2001:db8:3::a:2"], v6="2001:db8:3::a:2")


def test_implicit_mx_ipv4(lab):
    single(lab, ["{d}. A 203.0.113.252"], v4="203.0.113.252")


def test_cname_to_a_domain_with_mx(lab):
    single(lab, ["{d}. CNAME real.{d}.", "real.{d}. MX 10 m.{d}.", "m.{d}. AAAA 2001:db8:3::a:3"], v6="2001:db8:3::a:3")


def test_address_literal(lab):
    site = lab.site()
    lab.relay()
    lab.send(f"b@[IPv6:{site.v6}]")
    site.server6.wait_message(seconds=10)
    lab.send(f"b@[{site.v4}]")
    site.server4.wait_message(seconds=10)


def test_route_with_literal_and_port_asks_no_dns(lab):
    n = lab.number()
    address = f"2001:db8:3::{n}"
    lab.mx_host.add_address(address)
    server = lab.server(address, port=2525)
    lab.relay(f"route no-dns.example {{ relay = [{address}]:2525 }}\nroute .no-dns.example {{ relay = [{address}]:2525 }}\n")
    lab.send(["b@no-dns.example", "b@deep.no-dns.example"])
    server.wait_message("b@no-dns.example", 10)
    server.wait_message("b@deep.no-dns.example", 10)


def two_preferences(lab, first4=None, first6=None, serve=True):
    """A domain whose MX 10 and MX 20 are dual-stack hosts; the sites of the two."""
    one = lab.site(first4, first6, serve4=serve, serve6=serve, mx=False)
    two = lab.site(mx=False)
    domain = f"order-{one.domain}"
    lab.dns.add(f"{domain}. MX 10 {one.mx}.", f"{domain}. MX 20 {two.mx}.")
    return domain, one, two


def test_mx_order_is_kept(lab):
    domain, one, two = two_preferences(lab)
    lab.relay()
    lab.send(f"b@{domain}")
    one.server6.wait_message(f"b@{domain}", 10)
    assert not two.server6.sessions and not two.server4.sessions, "the worse preference was asked too"


def test_second_mx_when_the_first_refuses(lab):
    domain, one, two = two_preferences(lab, serve=False)
    lab.relay()
    began = lab.send(f"b@{domain}")
    took = two.server6.wait_message(f"b@{domain}", 10).at - began
    lab.fact(f"second MX {took:.3f} s after acceptance")
    assert took < 3


def test_better_mx_over_ipv4_comes_before_worse_over_ipv6(lab):
    domain, one, two = two_preferences(lab, None, Script(greeting="421 4.3.2 no"))
    lab.relay()
    lab.send(f"b@{domain}")
    one.server4.wait_message(f"b@{domain}", 10)
    assert not two.server6.sessions and not two.server4.sessions


def test_slow_first_mx_still_comes_before_a_fast_second(lab):
    domain, one, two = two_preferences(lab, Script(greeting=Wait(1, "220 mx.example slow")))
    lab.relay()
    lab.send(f"b@{domain}")
    one.server6.wait_message(f"b@{domain}", 10)
    assert not two.server6.sessions and not two.server4.sessions, "a worse preference was taken because it was faster"


def test_equal_preference_is_shared(lab):
    one, two = lab.site(mx=False), lab.site(mx=False)
    domain = f"equal-{one.domain}"
    lab.dns.add(f"{domain}. MX 10 {one.mx}.", f"{domain}. MX 10 {two.mx}.")
    relay = lab.relay("limits { connection_messages = 1 }\n")
    for n in range(24):
        lab.send(f"b{n}@{domain}")

    def counts():
        return [len(s.server6.messages) + len(s.server4.messages) for s in (one, two)]
    Scripted.wait(lambda: sum(counts()) >= 24, 20, "24 messages")
    shares = counts()
    lab.fact(f"shares of two equal MX hosts: {shares}")
    assert min(shares) >= 2, f"one of two equal hosts got nearly everything: {shares}"


def test_mx_with_no_address_at_all_fails(lab):
    n = lab.number()
    domain = f"d{n}.example"
    home = lab.site()
    lab.dns.add(f"{domain}. MX 10 nowhere.{domain}.", f"{domain}. A 203.0.113.2", f"nowhere.{domain}. TXT \"no address\"")
    lab.relay()
    lab.send(f"b@{domain}", sender=home.rcpt("sender"))
    bounce = home.server6.wait_message(home.rcpt("sender"), 10)
    assert "Status: 5.4.4" in bounce.text(), bounce.text()


def test_nodata_of_one_family_does_not_block(lab):
    """An MX host with an AAAA record alone: the empty answer for A delays nothing."""
    n = lab.number()
    address = f"2001:db8:3::{n}"
    lab.mx_host.add_address(address)
    server = lab.server(address)
    lab.dns.add(f"d{n}.example. MX 10 mx.d{n}.example.", f"mx.d{n}.example. AAAA {address}")
    lab.relay()
    began = lab.send(f"b@d{n}.example")
    took = server.wait_message(f"b@d{n}.example", 10).at - began
    assert took < 1, f"{took:.2f} s"


def test_silent_dns_server_defers_and_the_other_is_asked(lab):
    """The first of the configured servers never answers: the second one does."""
    site = lab.site()
    dead = "198.51.100.54"
    lab.dns_host.add_address(dead)
    lab.dns_host.nft("table inet lab { chain in { type filter hook input priority 0; ip daddr 198.51.100.54 drop;\n }\n}\n")
    lab.test.callback(lab.dns_host.nft_clear)
    relay = lab.relay(start=False)
    with open(relay.file) as f:
        text = f.read()
    with open(relay.file, "w") as f:
        f.write(text.replace("servers = 198.51.100.53:53", f"timeout = 300ms   servers = {dead}:53, 198.51.100.53:53"))
    relay.start([("198.51.100.64", 25)])
    began = lab.send(site.rcpt())
    took = site.server6.wait_message(site.rcpt(), 15).at - began
    lab.fact(f"first DNS server silent: delivered {took:.3f} s after acceptance")
