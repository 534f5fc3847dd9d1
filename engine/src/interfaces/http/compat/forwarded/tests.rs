use std::path::Path;

use super::*;
use crate::config::settings::Settings;

fn caller(peer: &str, headers: &[(&str, &str)]) -> Caller {
    let mut request = Request::builder().uri("/").header("host", "a.example:80");
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let peer: IpAddr = peer.parse().unwrap();
    let request = request
        .extension(ConnectInfo(SocketAddr::new(peer, 1)))
        .body(())
        .unwrap();
    Caller::of(&request, &[], false)
}

const FORWARDED: [(&str, &str); 3] = [
    ("x-forwarded-for", " 9.9.9.9 , 8.8.8.8"),
    ("x-forwarded-proto", "http, https"),
    ("x-forwarded-host", "a.example, b.example:8443"),
];

#[test]
fn a_loopback_peer_speaks_for_others() {
    for peer in ["127.0.0.1", "::1", "::ffff:127.0.0.1"] {
        let caller = caller(peer, &FORWARDED);
        assert_eq!(caller.last_forwarded(), "8.8.8.8");
        assert_eq!(caller.enrollment_address(), "9.9.9.9");
        assert_eq!(caller.scheme(), "https");
        assert_eq!(caller.host(), "b.example:8443");
        assert!(!caller.is_local());
    }
}

#[test]
fn lists_are_read_as_the_legacy_reads_them() {
    for (list, address) in [
        ("10.1.2.3,", "10.1.2.3"),
        ("9.9.9.9, 10.1.2.3 ,", "10.1.2.3"),
        ("10.1.2.3,,", "10.1.2.3"),
        (",10.1.2.3", "10.1.2.3"),
        ("\"127.0.0.1\"", "127.0.0.1"),
        ("9.9.9.9, \"10.1.2.3\",", "10.1.2.3"),
        ("\"a, b\"", "a, b"),
        ("\"a \\\" , b\", c", "c"),
        ("\"a\" b", "\"a\" b"),
        // Nobody is named.
        (" , ", "127.0.0.1"),
        ("\"\"", "127.0.0.1"),
        // Quotes that a client leaves open hide nothing of what a proxy writes.
        ("\", 10.1.2.3", "10.1.2.3"),
        ("\"127.0.0.1, 10.1.2.3", "10.1.2.3"),
        ("\"127.0.0.1\\, 10.1.2.3", "10.1.2.3"),
        ("\"127.0.0.1, \"10.1.2.3\"", "10.1.2.3"),
        ("\"127.0.0.1", "\"127.0.0.1"),
    ] {
        let caller = caller("127.0.0.1", &[("x-forwarded-for", list)]);
        assert_eq!(caller.last_forwarded(), address, "{list}");
        assert_eq!(caller.is_local(), address == "127.0.0.1", "{list}");
    }
    let caller = caller(
        "127.0.0.1",
        &[
            ("x-forwarded-proto", "http, \"https\","),
            ("x-forwarded-host", "\"b.example:8443\","),
        ],
    );
    assert_eq!(
        (caller.scheme(), caller.host()),
        ("https".to_owned(), "b.example:8443".to_owned())
    );
    assert!(caller.is_own_origin("https://b.example:8443"));
}

#[test]
fn a_host_of_any_bytes_is_what_the_client_named() {
    let request = Request::builder().header("host", "z\u{f6}e.example:8443");
    let caller = Caller::of(&request.body(()).unwrap(), &[], false);
    assert_eq!(caller.host(), "z\u{f6}e.example:8443");
}

#[test]
fn the_servers_own_origin_is_its_host_and_port_under_either_scheme() {
    let plain = |host: &str| {
        let request = Request::builder().header("host", host);
        Caller::of(&request.body(()).unwrap(), &[], false)
    };
    for (host, origin, own) in [
        ("a.example", "https://a.example", true),
        ("a.example", "http://A.example", true),
        ("a.example", "https://a.example:443", true),
        ("a.example:443", "https://a.example", true),
        ("a.example:8443", "https://a.example:8443", true),
        ("[::1]:5000", "http://[::1]:5000", true),
        ("a.example", "https://a.example:8443", false),
        ("a.example:8443", "https://a.example", false),
        ("a.example", "https://b.example", false),
        ("a.example", "https://a.example.evil", false),
        ("a.example", "https://a.example@evil", false),
        ("a.example", "https://a.example/", false),
        ("a.example", "ftp://a.example", false),
        ("a.example", "null", false),
        ("a.example", "", false),
        ("", "https://", false),
    ] {
        assert_eq!(plain(host).is_own_origin(origin), own, "{host} {origin}");
    }
    let proxied = caller("127.0.0.1", &[("x-forwarded-host", "c.example, b.example:8443")]);
    assert!(proxied.is_own_origin("https://b.example:8443"));
    assert!(!proxied.is_own_origin("https://c.example"));
    let stranger = caller("192.0.2.1", &[("x-forwarded-host", "evil.example")]);
    assert!(!stranger.is_own_origin("https://evil.example"));
}

#[test]
fn nobody_else_is_believed() {
    let caller = caller("192.0.2.1", &FORWARDED);
    assert_eq!(caller.last_forwarded(), "192.0.2.1");
    assert_eq!(caller.enrollment_address(), "192.0.2.1");
    assert_eq!(
        (caller.scheme(), caller.host()),
        ("http".to_owned(), "a.example".to_owned())
    );
}

#[test]
fn limits_count_the_nearest_address_that_no_trusted_proxy_has() {
    let variables = [(
        "BOREALIS_TRUSTED_PROXIES".to_owned(),
        "10.0.0.0/8, 2001:db8:f::/48".to_owned(),
    )]
    .into();
    let trusted = Settings::from_map(&variables, Path::new("/"))
        .unwrap()
        .trusted_proxies;
    let key = |peer: &str, list: &str| {
        let request = Request::builder()
            .header("x-forwarded-for", list)
            .extension(ConnectInfo(SocketAddr::new(peer.parse().unwrap(), 1)))
            .body(())
            .unwrap();
        Caller::of(&request, &trusted, false).limit_key().to_owned()
    };
    for (list, expected) in [
        ("6.6.6.6, 192.0.2.1", "192.0.2.1"),
        ("6.6.6.6, 192.0.2.1, 10.1.2.3, 127.0.0.1", "192.0.2.1"),
        ("6.6.6.6, 192.0.2.1:5060 ,10.1.2.3:80", "192.0.2.1"),
        ("::ffff:192.0.2.1", "192.0.2.1"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("[2001:db8:1:2::9]:443, [2001:db8:f::1]:80", "2001:db8:1:2::/64"),
        ("\"[2001:db8:1:2::9]\"", "2001:db8:1:2::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        ("10.9.9.9, 10.1.2.3", "10.9.9.9"),
        ("6.6.6.6, unknown, 10.1.2.3", "unknown"),
        (" , ", "10.1.1.1"),
    ] {
        assert_eq!(key("10.1.1.1", list), expected, "{list}");
    }
    assert_eq!(key("192.0.2.9", "6.6.6.6"), "192.0.2.9");
    assert_eq!(key("2001:db8:1::5", "6.6.6.6"), "2001:db8:1::/64");
    assert_eq!(Caller::default().limit_key(), "unknown");
}

#[test]
fn nobody_elsewhere_is_local() {
    let variables = [("BOREALIS_TRUSTED_PROXIES".to_owned(), "192.0.2.0/24".to_owned())].into();
    let trusted = Settings::from_map(&variables, Path::new("/"))
        .unwrap()
        .trusted_proxies;
    let request = Request::builder()
        .header("x-forwarded-for", "127.0.0.1")
        .extension(ConnectInfo(SocketAddr::new([192, 0, 2, 1].into(), 1)))
        .body(())
        .unwrap();
    let caller = Caller::of(&request, &trusted, false);
    assert_eq!(caller.last_forwarded(), "127.0.0.1");
    assert!(!caller.is_local());
    assert!(!Caller::default().is_local());
}

#[test]
fn without_headers_the_peer_counts() {
    assert!(caller("127.0.0.1", &[("x-forwarded-for", "")]).is_local());
    assert_eq!(Caller::default().enrollment_address(), "unknown");
}
