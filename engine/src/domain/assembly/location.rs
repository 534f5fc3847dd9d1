//! Where assemblies lie below their root: paths from outside, folded and kept inside.

use crate::domain::text::python_trim;

/// A folder of assemblies.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Island {
    /// `Workflows`
    Workflows,
    /// `Scripts`
    Scripts,
    /// `Ansible_Playbooks`
    Playbooks,
}

impl Island {
    /// The folder's name.
    pub fn folder(self) -> &'static str {
        match self {
            Self::Workflows => "Workflows",
            Self::Scripts => "Scripts",
            Self::Playbooks => "Ansible_Playbooks",
        }
    }

    /// The island of an accepted name, whatever its case.
    pub fn parse(name: &str) -> Option<Self> {
        match python_trim(name).to_lowercase().as_str() {
            "workflows" | "workflow" => Some(Self::Workflows),
            "scripts" | "script" => Some(Self::Scripts),
            "ansible" | "ansible_playbooks" | "ansible-playbooks" | "playbooks" => Some(Self::Playbooks),
            _ => None,
        }
    }
}

/// A path below an island: names without `.`, `..`, separators of either kind or NUL. May be the island itself.
#[derive(Clone, Debug, Default, Eq, Hash, PartialEq)]
pub struct IslandPath(Vec<String>);

impl IslandPath {
    /// Reads a path as the assemblies routes do: trimmed, backslashes as slashes, without outer slashes, folded.
    /// `None` where it leaves the island, also into a sibling whose name begins alike (ASM-2), or holds NUL.
    pub fn parse(island: Island, text: &str) -> Option<Self> {
        let text = python_trim(text).replace('\\', "/");
        Self::below(island, text.trim_matches('/'))
    }

    /// Reads the path of a script that shall run now: relative to the root of all assemblies, first name exactly
    /// `Scripts`, backslashes as they are (on this system they are part of a name). One that ends outside the island
    /// is refused (SCH-14).
    pub fn of_quick_run(text: &str) -> Option<Self> {
        let below = Self::below(Island::Scripts, text.strip_prefix("Scripts/")?)?;
        (!below.is_root()).then_some(below)
    }

    /// The text of a scheduled script's path, as it is stored and sent: with `Scripts/` in front.
    pub fn scheduled_script_text(text: &str) -> String {
        let text = text.replace('\\', "/");
        let text = python_trim(&text);
        if text.starts_with("Scripts/") || text == "Scripts" {
            text.to_owned()
        } else {
            format!("Scripts/{text}")
        }
    }

    /// The text of a scheduled playbook's path, as it is stored and sent: relative to its island.
    pub fn scheduled_playbook_text(text: &str) -> String {
        let text = text.replace('\\', "/");
        python_trim(&text).trim_start_matches('/').to_owned()
    }

    /// Folds a path that begins in the island; a way out and in again stays inside.
    fn below(island: Island, text: &str) -> Option<Self> {
        let mut names = vec![island.folder()];
        for name in text.split('/') {
            match name {
                "" | "." => {}
                ".." => {
                    names.pop()?;
                }
                name if name.contains('\0') => return None,
                name => names.push(name),
            }
        }
        let (first, rest) = names.split_first()?;
        (*first == island.folder()).then(|| Self(rest.iter().map(|name| (*name).to_owned()).collect()))
    }

    /// The names from the island down.
    pub fn names(&self) -> &[String] {
        &self.0
    }

    /// Whether it is the island itself.
    pub fn is_root(&self) -> bool {
        self.0.is_empty()
    }

    /// The last name; empty for the island itself.
    pub fn file_name(&self) -> &str {
        self.0.last().map_or("", String::as_str)
    }

    /// The path with `/` between its names.
    pub fn text(&self) -> String {
        self.0.join("/")
    }
}

/// A file name without its last extension, as Python's `os.path.splitext` parts them: leading dots begin no extension.
pub fn stem(file_name: &str) -> &str {
    let dots = file_name.len() - file_name.trim_start_matches('.').len();
    match file_name.rfind('.') {
        Some(at) if at > dots || (at == dots && dots == 0 && at > 0) => {
            file_name.get(..at).unwrap_or(file_name)
        }
        _ => file_name,
    }
}

/// Whether a file name ends in `.json`, in any case.
pub fn is_json(file_name: &str) -> bool {
    file_name
        .len()
        .checked_sub(5)
        .and_then(|at| file_name.get(at..))
        .is_some_and(|ending| ending.eq_ignore_ascii_case(".json"))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

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
        ] {
            assert_eq!(
                text(IslandPath::parse(Island::Scripts, given)).as_deref(),
                Some(expected),
                "{given:?}"
            );
        }
        for outside in ["..", "../x", "a/../../x", "..\\x", "../ScriptsEvil/x", "a\0b"] {
            assert_eq!(IslandPath::parse(Island::Scripts, outside), None, "{outside:?}");
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
        ] {
            assert_eq!(
                text(IslandPath::of_quick_run(good)).as_deref(),
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
            assert_eq!(IslandPath::of_quick_run(bad), None, "{bad:?}");
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
            for path in [IslandPath::parse(Island::Scripts, &given), IslandPath::of_quick_run(&given)].into_iter().flatten() {
                for name in path.names() {
                    prop_assert!(!name.is_empty() && name != "." && name != ".." && !name.contains(['/', '\0']));
                }
            }
        }
    }
}
