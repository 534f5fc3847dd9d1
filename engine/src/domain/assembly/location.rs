//! Where assemblies lie below their root: paths from outside, folded and kept inside.

use std::path::{Component, Path, PathBuf};

use crate::domain::text::python_trim;

/// Folders within one another, at most; the legacy breaks at about a thousand (ASM-26).
const DEEPEST: usize = 900;

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
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Workflows, Self::Scripts, Self::Playbooks];

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

/// What lies at a path.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum EntryKind {
    File,
    Folder,
}

/// A path below an island: names without `.`, `..` or slashes. May be the island itself.
#[derive(Clone, Debug, Default, Eq, Hash, PartialEq)]
pub struct IslandPath(Vec<String>);

impl IslandPath {
    /// Reads a path as the assemblies routes do: trimmed, backslashes as slashes, without outer slashes, folded. `root` is
    /// the folder of all islands. `None` where it leaves the island, also into a sibling whose name begins alike (ASM-2),
    /// or holds NUL.
    pub fn parse(root: &Path, island: Island, text: &str) -> Option<Self> {
        Self::resolve(root, island, text).filter(|path| !path.has_nul())
    }

    /// As [`IslandPath::parse`], but NUL may be in a name: no file has such a one, which is not always what is answered.
    pub fn resolve(root: &Path, island: Island, text: &str) -> Option<Self> {
        let text = python_trim(text).replace('\\', "/");
        Self::below(root, island, &text)
    }

    /// Reads the path of a script that shall run now: relative to the root of all assemblies, first name exactly
    /// `Scripts`, backslashes as they are (on this system they are part of a name). One that ends outside the island
    /// is refused (SCH-14).
    pub fn of_quick_run(root: &Path, text: &str) -> Option<Self> {
        let below = Self::below(root, Island::Scripts, text.strip_prefix("Scripts/")?)?;
        (!below.is_root() && !below.has_nul()).then_some(below)
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

    /// Folds a path that begins in the island, whatever slashes it begins with. A way out and in again stays inside,
    /// however far out it goes.
    fn below(root: &Path, island: Island, text: &str) -> Option<Self> {
        let base = root.join(island.folder());
        let place = place_below(&base, &base, text.trim_start_matches('/'))?;
        let names = place.strip_prefix(folded(&base)).ok()?;
        let names = names.iter().map(|name| Some(name.to_str()?.to_owned()));
        names.collect::<Option<_>>().map(Self)
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

    /// Whether NUL is in one of its names.
    pub fn has_nul(&self) -> bool {
        self.0.iter().any(|name| name.contains('\0'))
    }

    /// Whether it has more names than a folder is made for (ASM-26).
    pub fn is_too_deep(&self) -> bool {
        self.0.len() > DEEPEST
    }

    /// The path under another last name; `None` for the island itself.
    #[must_use]
    pub fn renamed(&self, name: String) -> Option<Self> {
        let (_, parents) = self.0.split_last()?;
        let mut names = parents.to_vec();
        names.push(name);
        Some(Self(names))
    }

    /// The path one name further down.
    #[must_use]
    pub fn join(&self, name: &str) -> Self {
        let mut names = self.0.clone();
        names.push(name.to_owned());
        Self(names)
    }

    /// Whether it is `folder`, or lies below it.
    pub fn starts_with(&self, folder: &Self) -> bool {
        self.0.starts_with(&folder.0)
    }
}

/// Where an absolute or relative path of the deprecated routes leads that begins at `base`: nothing is trimmed, a
/// backslash is part of a name, an absolute path leaves the base. `None` where it leads out of it.
pub fn deprecated_place(base: &Path, path: &str) -> Option<PathBuf> {
    place_below(base, base, path)
}

/// Where a path leads from the folder `from`; `None` where that is not below `base`.
fn place_below(base: &Path, from: &Path, path: &str) -> Option<PathBuf> {
    if path.starts_with("//") && !path.starts_with("///") {
        // Another root to Python, which keeps exactly two slashes.
        return None;
    }
    let place = folded(&from.join(path));
    place.starts_with(folded(base)).then_some(place)
}

/// The path without `.` and `..`, as its text has them: links count as folders.
fn folded(path: &Path) -> PathBuf {
    let mut place = PathBuf::new();
    for part in path.components() {
        match part {
            Component::CurDir => {}
            Component::ParentDir => {
                place.pop();
            }
            part => place.push(part),
        }
    }
    place
}

/// Whether a path of the deprecated script routes names something below `Scripts`.
pub fn is_deprecated_script(path: &str) -> bool {
    let path = path.replace('\\', "/");
    path.trim_start_matches('/').split('/').next() == Some(Island::Scripts.folder())
}

/// The path at which the deprecated routes save: it gets this extension where its last name has none.
pub fn with_extension(path: &str, extension: &str) -> String {
    let name = path.rsplit('/').next().unwrap_or_default();
    if stem(name) == name {
        format!("{path}{extension}")
    } else {
        path.to_owned()
    }
}

/// The name of a new document: whatever it is called, it ends in `.json` (ASM-14). `.json` alone is a name without an
/// extension.
pub fn document_name(name: &str) -> String {
    if is_json(name) && stem(name) != name {
        name.to_owned()
    } else {
        format!("{name}.json")
    }
}

/// The name that a file has once it was edited: its content is a document then.
pub fn edited_name(name: &str) -> String {
    if is_json(name) {
        name.to_owned()
    } else {
        format!("{}.json", stem(name))
    }
}

/// The name that a file gets by a rename to `wanted`: its last part. Without an extension it keeps the old one, and a
/// document stays one, a text a text (ASM-15). `None` where that cannot be.
pub fn renamed_file(old: &str, wanted: &str) -> Option<String> {
    let name = last_part(wanted)?;
    let has_extension = stem(&name) != name;
    if has_extension && is_json(&name) == is_json(old) {
        return Some(name);
    }
    let extension = old.get(stem(old).len()..).unwrap_or_default();
    // Python takes `.json` for a name without an extension.
    let extension = if extension.is_empty() && is_json(old) {
        old
    } else {
        extension
    };
    let name = name + extension;
    (is_json(&name) == is_json(old)).then_some(name)
}

/// The name that a folder gets by a rename to `wanted`: its last part (ASM-15). `root` is the folder of all islands.
/// `None` where that is none, or `wanted` leads out of the island.
pub fn renamed_folder(root: &Path, island: Island, folder: &IslandPath, wanted: &str) -> Option<String> {
    let (_, parents) = folder.names().split_last()?;
    let wanted = wanted.replace('\\', "/");
    let base = root.join(island.folder());
    let mut parent = base.clone();
    parent.extend(parents);
    place_below(&base, &parent, &wanted)?;
    last_part(&wanted).filter(|name| name != "." && name != "..")
}

fn last_part(path: &str) -> Option<String> {
    let path = path.replace('\\', "/");
    let path = path.trim_matches('/');
    let name = path.rsplit('/').next()?;
    (!name.is_empty()).then(|| name.to_owned())
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
mod tests;
