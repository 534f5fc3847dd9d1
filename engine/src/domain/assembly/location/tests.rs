use proptest::prelude::*;

use super::*;

/// The folder of all islands.
fn root() -> &'static Path {
    Path::new("/srv/root/Assemblies")
}

fn text(path: Option<IslandPath>) -> Option<String> {
    path.map(|path| path.text())
}

#[test]
fn paths_are_folded_and_kept_inside() {
    for (given, expected) in [
        ("/etc/x", "etc/x"),
        ("\\\\etc\\x", "etc/x"),
        ("C:\\Windows\\x", "C:/Windows/x"),
        ("a/./b", "a/b"),
        (" /a//b/ ", "a/b"),
        ("x/..", ""),
        ("....//x", "..../x"),
        ("%2e%2e/x", "%2e%2e/x"),
        ("../Scripts/z.json", "z.json"),
        ("../../Assemblies/Scripts/a.json", "a.json"),
        ("a/../../../../root/Assemblies//Scripts/./b/a.json", "b/a.json"),
        ("../../../../../../srv/root/Assemblies/Scripts/a.json", "a.json"),
        ("..\\..\\Assemblies\\Scripts", ""),
    ] {
        assert_eq!(
            text(IslandPath::parse(root(), Island::Scripts, given)).as_deref(),
            Some(expected),
            "{given:?}"
        );
    }
    for outside in [
        "..",
        "../x",
        "a/../../x",
        "..\\x",
        "../ScriptsEvil/x",
        "a\0b",
        "../../Scripts/x",
        "../../Assemblies/x",
        "../../Assemblies2/Scripts/x",
        "../../../other/Assemblies/Scripts/x",
        "../../../../../../Assemblies/Scripts/x",
    ] {
        assert_eq!(
            IslandPath::parse(root(), Island::Scripts, outside),
            None,
            "{outside:?}"
        );
    }
}

#[test]
fn a_quick_run_stays_below_scripts() {
    for good in [
        "Scripts/a.ps1",
        "Scripts//a.ps1",
        "Scripts/a.ps1/",
        "Scripts/x/../a.ps1",
        "Scripts/../Scripts/a.ps1",
        "Scripts/../../Assemblies/Scripts/a.ps1",
        "Scripts//../../../root/Assemblies/Scripts/a.ps1",
    ] {
        assert_eq!(
            text(IslandPath::of_quick_run(root(), good)).as_deref(),
            Some("a.ps1"),
            "{good:?}"
        );
    }
    for bad in [
        "Scripts",
        "Scripts/",
        "a.ps1",
        "scripts/a.ps1",
        "/Scripts/a.ps1",
        "Scripts\\a.ps1",
        "./Scripts/a.ps1",
        "Scripts/../Ansible_Playbooks/p.yml",
        "Scripts/../../AssembliesX/s.ps1",
        "../outside.ps1",
    ] {
        assert_eq!(IslandPath::of_quick_run(root(), bad), None, "{bad:?}");
    }
}

#[test]
fn scheduled_paths_get_their_island() {
    assert_eq!(
        IslandPath::scheduled_script_text(" doc.json "),
        "Scripts/doc.json"
    );
    assert_eq!(
        IslandPath::scheduled_script_text("Scripts\\hello.ps1"),
        "Scripts/hello.ps1"
    );
    assert_eq!(
        IslandPath::scheduled_playbook_text(" \\sub\\play.yml "),
        "sub/play.yml"
    );
}

#[test]
fn renames_take_the_last_part_and_keep_what_a_file_is() {
    for (old, wanted, name) in [
        ("one.json", "two", Some("two.json")),
        ("one.json", "../../six", Some("six.json")),
        ("one.json", "a\\b\\seven.json", Some("seven.json")),
        ("one.json", "..", Some("...json")),
        ("one.json", ".dot", Some(".dot.json")),
        ("one.json", "eight/", Some("eight.json")),
        ("one.JSON", "v1.2", Some("v1.2.JSON")),
        (".json", "two", Some("two.json")),
        ("raw.ps1", "other", Some("other.ps1")),
        ("raw.bat", "other.sh", Some("other.sh")),
        ("raw.ps1", "other.json", Some("other.json.ps1")),
        ("bare", "other", Some("other")),
        ("bare", "other.json", None),
        ("one.json", "//", None),
    ] {
        assert_eq!(renamed_file(old, wanted).as_deref(), name, "{old} to {wanted:?}");
    }
    for (wanted, name) in [
        ("two", Some("two")),
        ("up/two", Some("two")),
        ("..\\two", Some("two")),
        ("v1.0", Some("v1.0")),
        (".", None),
        ("a/..", None),
        ("/two", None),
        ("/srv/root/Assemblies/Scripts/two", Some("two")),
        ("/srv/root/Assemblies/Scripts/else/../two", Some("two")),
        ("///srv/root/Assemblies/Scripts/two", Some("two")),
        ("//srv/root/Assemblies/Scripts/two", None),
        ("/srv/root/Assemblies/Scripts2/two", None),
        ("/srv/root/Assemblies/Workflows/two", None),
        ("../../../Assemblies/Scripts/in/two", Some("two")),
        ("../../two", None),
        ("../../Scripts2", None),
    ] {
        let folder = IslandPath::resolve(root(), Island::Scripts, "in/folder").unwrap();
        let renamed = renamed_folder(root(), Island::Scripts, &folder, wanted);
        assert_eq!(renamed.as_deref(), name, "{wanted:?}");
    }
}

#[test]
fn documents_end_in_json() {
    for (name, created, edited) in [
        ("x", "x.json", "x.json"),
        ("x.JSON", "x.JSON", "x.JSON"),
        ("v1.2", "v1.2.json", "v1.json"),
        ("tool.ps1", "tool.ps1.json", "tool.json"),
        (".hidden", ".hidden.json", ".hidden.json"),
        (".json", ".json.json", ".json"),
        (".JSON", ".JSON.json", ".JSON"),
    ] {
        assert_eq!(document_name(name), created);
        assert_eq!(edited_name(name), edited);
    }
}

#[test]
fn deprecated_paths_are_taken_as_they_are() {
    let base = Path::new("/srv/root/Assemblies");
    for (path, place) in [
        ("Scripts/a.ps1", Some("/srv/root/Assemblies/Scripts/a.ps1")),
        ("Scripts/../b", Some("/srv/root/Assemblies/b")),
        ("..\\b", Some("/srv/root/Assemblies/..\\b")),
        ("/srv/root/Assemblies/x", Some("/srv/root/Assemblies/x")),
        ("", Some("/srv/root/Assemblies")),
        ("/Scripts/a", None),
        ("../database.db", None),
        ("../AssembliesX/a", None),
        ("../../root/Assemblies/a", Some("/srv/root/Assemblies/a")),
        ("//srv/root/Assemblies/x", None),
    ] {
        assert_eq!(
            deprecated_place(base, path).as_deref(),
            place.map(Path::new),
            "{path:?}"
        );
    }
    let dotted = Path::new("/srv/else/../root/Assemblies");
    assert_eq!(
        deprecated_place(dotted, "a").as_deref(),
        Some(Path::new("/srv/root/Assemblies/a"))
    );
    assert!(is_deprecated_script("//Scripts\\a") && !is_deprecated_script("Scripts2/a"));
}

#[test]
fn a_path_gets_an_extension_where_its_last_name_has_none() {
    for (path, saved) in [
        ("Scripts", "Scripts.json"),
        ("Scripts/a.ps1", "Scripts/a.ps1"),
        ("a.b/c", "a.b/c.json"),
        ("a.b/", "a.b/.json"),
        ("..", "...json"),
        ("Scripts/../..", "Scripts/../...json"),
        (".hidden", ".hidden.json"),
        ("trail.", "trail."),
    ] {
        assert_eq!(with_extension(path, ".json"), saved, "{path}");
    }
}

#[test]
fn stems_are_pythons() {
    for (name, expected) in [
        ("hello.ps1", "hello"),
        ("a.b.json", "a.b"),
        ("noext", "noext"),
        (".hidden", ".hidden"),
        ("..a.txt", "..a"),
        ("trail.", "trail"),
        ("", ""),
        ("...", "..."),
    ] {
        assert_eq!(stem(name), expected, "{name:?}");
    }
    assert!(is_json("UP.JSON") && is_json(".json") && !is_json("json") && !is_json("a.jsn"));
}

proptest! {
    #[test]
    fn no_path_leaves_its_island(given in "([a.\\\\/]|\\.\\.|\\PC){0,12}") {
        for path in [IslandPath::parse(root(), Island::Scripts, &given), IslandPath::of_quick_run(root(), &given)].into_iter().flatten() {
            for name in path.names() {
                prop_assert!(!name.is_empty() && name != "." && name != ".." && !name.contains(['/', '\0']));
            }
        }
    }

    /// What Python's `abspath` makes of the text, written apart.
    #[test]
    fn a_path_is_taken_if_it_ends_below_its_island(
        given in "([ab./\\\\]|\\.\\.|\\./Scripts/|\\.\\./\\.\\./Assemblies/){0,12}",
    ) {
        let mut names = vec!["srv", "root", "Assemblies", "Scripts"];
        let text = python_trim(&given).replace('\\', "/");
        for name in text.split('/') {
            match name {
                "" | "." => {}
                ".." => drop(names.pop()),
                name => names.push(name),
            }
        }
        let inside = names.strip_prefix(&["srv", "root", "Assemblies", "Scripts"]);
        let taken = IslandPath::resolve(root(), Island::Scripts, &given);
        prop_assert_eq!(taken.map(|path| path.text()), inside.map(|names| names.join("/")));
    }

    #[test]
    fn a_rename_stays_in_its_folder(old in "[a-c.]{1,6}", wanted in "[a-c./\\\\]{0,8}") {
        let folder = IslandPath(vec!["x".to_owned(), "y".to_owned()]);
        let folder = renamed_folder(root(), Island::Scripts, &folder, &wanted);
        for name in [renamed_file(&old, &wanted), folder.clone()].into_iter().flatten() {
            prop_assert!(!name.is_empty() && !name.contains(['/', '\\']));
        }
        if let Some(name) = folder {
            prop_assert!(name != "." && name != "..");
        }
        if !["", ".", ".."].contains(&old.as_str()) && let Some(name) = renamed_file(&old, &wanted) {
            prop_assert_eq!(is_json(&name), is_json(&old));
        }
    }
}
