use super::*;

fn read(pairs: &[(&str, &str)]) -> Result<Settings, InvalidSettings> {
    let variables = pairs
        .iter()
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
        .collect();
    Settings::from_map(&variables, Path::new("/nowhere"))
}

#[test]
fn every_unreadable_variable_is_named_at_once() {
    let error = read(&[
        ("BOREALIS_PORT", "http"),
        ("BOREALIS_TLS", "maybe"),
        ("BOREALIS_DEBUG", "perhaps"),
    ])
    .unwrap_err();
    let names: Vec<_> = error.0.iter().map(|variable| variable.variable).collect();
    assert_eq!(names, ["BOREALIS_DEBUG", "BOREALIS_PORT", "BOREALIS_TLS"]);
}

#[test]
fn the_new_secret_wins_over_the_legacy_one_and_neither_is_printed() {
    let settings = read(&[("BOREALIS_SECRET", "old"), ("BOREALIS_FLASK_SECRET_KEY", "new")]).unwrap();
    assert_eq!(settings.session_secret.expose(), "new");
    assert!(!format!("{settings:?}").contains("new"));
    assert_eq!(
        read(&[("BOREALIS_SECRET", "old")])
            .unwrap()
            .session_secret
            .expose(),
        "old"
    );
    let strength = |secret| {
        read(&[("BOREALIS_SECRET", secret)])
            .unwrap()
            .signing_secret_strength()
    };
    assert_eq!(
        read(&[]).unwrap().signing_secret_strength(),
        SecretStrength::Published
    );
    for known in ["change-me", " change-me\t", "borealis-dev-secret", "  "] {
        assert_eq!(strength(known), SecretStrength::Published, "{known:?}");
    }
    assert_eq!(strength("a"), SecretStrength::Short(1));
    assert_eq!(strength("fünfzehn zeichn"), SecretStrength::Short(15));
    assert_eq!(strength("sixteen letters!"), SecretStrength::Sufficient);
}

#[test]
fn a_sealing_key_is_read_in_both_forms_or_refused_without_showing_it() {
    for text in [
        "MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE=",
        "TURFeU16UTFOamM0T1RBeE1qTTBOVFkzT0Rrd01USXpORFUyTnpnNU1ERT0=",
    ] {
        let settings = read(&[("BOREALIS_SECRET_KEY", text)]).unwrap();
        assert_eq!(
            settings.sealing_key,
            Some(FernetKey::from_bytes(*b"01234567890123456789012345678901"))
        );
    }
    let refused = read(&[("BOREALIS_SECRET_KEY", "hunter2")])
        .unwrap_err()
        .to_string();
    assert!(
        refused.contains("BOREALIS_SECRET_KEY") && !refused.contains("hunter2"),
        "{refused}"
    );
    assert_eq!(read(&[]).unwrap().sealing_key, None);
}

#[test]
fn trusted_networks_hold_their_addresses_only() {
    let settings = read(&[("BOREALIS_TRUSTED_PROXIES", "10.1.0.0/16, 192.0.2.7")]).unwrap();
    let trusted = |peer: &str| {
        settings
            .trusted_proxies
            .iter()
            .any(|network| network.contains(peer.parse().unwrap()))
    };
    assert!(trusted("10.1.200.3") && trusted("192.0.2.7") && trusted("::ffff:10.1.0.1"));
    assert!(!trusted("10.2.0.1") && !trusted("192.0.2.8") && !trusted("::1"));
    assert!(read(&[("BOREALIS_TRUSTED_PROXIES", "10.0.0.0/33")]).is_err());
}

#[test]
fn the_scheduler_follows_the_legacy_variables() {
    let settings = read(&[("TZ", "America/Denver"), ("BOREALIS_SIM_RUN_SECONDS", " 5 ")]).unwrap();
    assert_eq!(settings.time_zone.iana_name(), Some("America/Denver"));
    assert_eq!((settings.assumed_run_seconds, settings.job_history_days), (5, 30));
    for (name, value) in [
        ("TZ", "Nowhere/At All"),
        ("BOREALIS_SIM_RUN_SECONDS", "soon"),
        ("BOREALIS_JOB_HISTORY_DAYS", "1.5"),
    ] {
        assert!(read(&[(name, value)]).is_err(), "{name}");
    }
}

#[test]
fn the_public_address_is_scheme_host_and_port() {
    let read = |value: &str| read(&[("BOREALIS_PUBLIC_URL", value)]).map(|settings| settings.public_url);
    for (value, text, authority) in [
        ("https://b.example", "https://b.example", "b.example"),
        (
            " HTTP://b.example:8080/ ",
            "http://b.example:8080",
            "b.example:8080",
        ),
        ("https://[::1]:5000", "https://[::1]:5000", "[::1]:5000"),
    ] {
        let url = read(value).unwrap().unwrap();
        assert_eq!((url.as_str(), url.authority()), (text, authority));
    }
    assert_eq!(read("").unwrap(), None);
    for value in [
        "b.example",
        "ftp://b.example",
        "https://",
        "https://b.example/path",
        "https://b.example/?x",
        "https://u@b.example",
        "https://a b",
    ] {
        let error = read(value).unwrap_err().to_string();
        assert!(error.starts_with("BOREALIS_PUBLIC_URL is"), "{error}");
    }
}

#[test]
fn certificate_folders_follow_the_legacy_variables() {
    let settings = read(&[("BOREALIS_ROOT", "/srv/b"), ("BOREALIS_CERT_ROOT", "/etc/b")]).unwrap();
    assert_eq!(settings.server_certificates, Path::new("/etc/b/Server"));
    assert_eq!(settings.runtime, Path::new("/srv/b/Server/Borealis"));
}

#[test]
fn the_web_client_is_found_where_each_kind_of_installation_has_it() {
    let root = tempfile::tempdir().unwrap();
    let found = || {
        let root = root.path().to_str().unwrap();
        let settings = read(&[("BOREALIS_ROOT", root)]).unwrap();
        settings.static_root.strip_prefix(root).unwrap().to_owned()
    };
    assert_eq!(found(), Path::new("Data/Server/web-interface/build"));
    for folder in [
        "Data/web-interface/dist",
        "Server/web-interface/dist",
        "Data/web-interface/build",
        "Engine/web-interface/build",
        "Server/web-interface/build",
        "Data/WebUI/build",
        "Data/Server/WebUI/build",
        "Data/Server/web-interface/build",
    ] {
        std::fs::create_dir_all(root.path().join(folder)).unwrap();
        assert_eq!(found(), Path::new(folder));
    }
}

#[test]
fn a_token_s_lifetime_is_read_as_the_legacy_reads_it() {
    let lifetime = |value: &str| {
        let settings = read(&[("BOREALIS_TOKEN_TTL_SECONDS", value)]);
        settings.unwrap().operator_token_ttl
    };
    for (value, seconds) in [
        ("", Some(2_592_000)),
        (" 60 ", Some(60)),
        ("+60", Some(60)),
        ("-1", Some(-1)),
        ("86_400", Some(86_400)),
        ("\u{666}\u{660}", Some(60)),
        ("99999999999999999999999", Some(i64::MAX)),
        ("30d", None),
        ("1.5", None),
        ("86__400", None),
    ] {
        assert_eq!(lifetime(value), seconds, "{value}");
    }
}

#[test]
fn a_zone_may_be_a_file_as_where_the_machines_own_is_no_link() {
    for zone in [
        ":/usr/share/zoneinfo/America/Denver",
        "/usr/share/zoneinfo/America/Denver",
        ":America/Denver",
        "posix/America/Denver",
        ":posix/America/Denver",
    ] {
        let settings = read(&[("TZ", zone)]).unwrap();
        let winter = settings.time_zone.to_offset(jiff::Timestamp::UNIX_EPOCH);
        assert_eq!(winter.seconds(), -7 * 3600, "{zone}");
    }
    for none in ["/nowhere/at/all", ":/usr/share/zoneinfo"] {
        assert!(read(&[("TZ", none)]).is_err(), "{none}");
    }
}

#[test]
fn a_tilde_is_the_home_folder_alone_and_before_others() {
    for (value, root) in [
        ("~", "/home/b"),
        ("~/", "/home/b"),
        ("~/x", "/home/b/x"),
        ("/y/~", "/y/~"),
    ] {
        let settings = read(&[("HOME", "/home/b"), ("BOREALIS_ROOT", value)]).unwrap();
        assert_eq!(settings.root.to_str(), Some(root), "{value}");
    }
}
