use std::{os::unix::fs::PermissionsExt as _, time::Duration};

use super::*;

const NOW: SystemTime = SystemTime::UNIX_EPOCH;

fn path(text: &str) -> IslandPath {
    IslandPath::resolve(Path::new("/Assemblies"), Island::Scripts, text).unwrap()
}

/// A root with an island, and its files.
fn island() -> (tempfile::TempDir, AssemblyFiles, PathBuf) {
    let root = tempfile::tempdir().unwrap();
    let scripts = root.path().join("Scripts");
    std::fs::create_dir_all(scripts.join("sub")).unwrap();
    std::fs::write(scripts.join("sub/a.ps1"), "hi").unwrap();
    std::fs::create_dir(root.path().join("outside")).unwrap();
    std::fs::write(root.path().join("outside/secret"), "no").unwrap();
    let files = AssemblyFiles::new(root.path().to_owned());
    (root, files, scripts)
}

fn link(to: &Path, at: PathBuf) {
    std::os::unix::fs::symlink(to, at).unwrap();
}

async fn store(files: &AssemblyFiles, at: &str, content: &str) -> Result<(), FileError> {
    files
        .store(
            Island::Scripts,
            path(at),
            content.to_owned(),
            NOW,
            Kept::default(),
        )
        .await
}

#[tokio::test]
async fn files_are_read_and_links_stay_inside() {
    let (root, files, scripts) = island();
    link(&root.path().join("outside/secret"), scripts.join("sub/out"));
    link(&scripts.join("sub/a.ps1"), scripts.join("sub/in"));
    let read = async |text| files.read(Island::Scripts, &path(text)).await;
    assert_eq!(read("sub/a.ps1").await.unwrap().as_deref(), Some(&b"hi"[..]));
    assert_eq!(read("sub/in").await.unwrap().as_deref(), Some(&b"hi"[..]));
    assert!(matches!(read("sub/out").await, Err(FileError::Outside)));
    for nothing in ["sub", "none", "", "a\0b", "sub/a.ps1/b"] {
        assert_eq!(read(nothing).await.unwrap(), None, "{nothing:?}");
    }
}

#[tokio::test]
async fn nothing_is_written_through_a_link_that_leads_out() {
    let (root, files, scripts) = island();
    let outside = root.path().join("outside");
    link(&outside, scripts.join("dir"));
    link(&outside.join("secret"), scripts.join("file.json"));
    link(&outside.join("new"), scripts.join("dangling.json"));
    for at in ["dir/x.json", "file.json", "dangling.json", "dir/deep/er/x.json"] {
        let refused = store(&files, at, "written").await;
        assert!(matches!(refused, Err(FileError::Outside)), "{at}: {refused:?}");
    }
    let made = files.make_folder(Island::Scripts, path("dir/made")).await;
    assert!(matches!(made, Err(FileError::Outside)));
    let into = files
        .relocate(
            Island::Scripts,
            path("sub/a.ps1"),
            EntryKind::File,
            path("dir"),
            Kept::default(),
        )
        .await;
    assert!(matches!(into, Err(FileError::Outside)), "{into:?}");
    let left: Vec<_> = std::fs::read_dir(&outside).unwrap().collect();
    assert_eq!(left.len(), 1);
    assert_eq!(std::fs::read(outside.join("secret")).unwrap(), b"no");
}

#[tokio::test]
async fn a_file_keeps_its_mode_and_its_link_and_a_new_one_is_private() {
    let (_root, files, scripts) = island();
    let mode = |at: &str| scripts.join(at).metadata().unwrap().permissions().mode() & 0o777;
    store(&files, "new/folder/x.json", "1").await.unwrap();
    assert_eq!((mode("new/folder/x.json"), mode("new/folder")), (0o600, 0o700));
    std::fs::set_permissions(scripts.join("sub/a.ps1"), std::fs::Permissions::from_mode(0o640)).unwrap();
    link(Path::new("sub/a.ps1"), scripts.join("in.ps1"));
    store(&files, "in.ps1", "changed").await.unwrap();
    assert_eq!(std::fs::read(scripts.join("sub/a.ps1")).unwrap(), b"changed");
    assert_eq!(mode("sub/a.ps1"), 0o640);
    assert!(scripts.join("in.ps1").symlink_metadata().unwrap().is_symlink());
    let changed = scripts.join("sub/a.ps1").metadata().unwrap().modified().unwrap();
    assert_eq!(changed, NOW);
}

#[tokio::test]
async fn a_refused_write_leaves_what_was_there_and_nothing_beside_it() {
    let (_root, files, scripts) = island();
    std::fs::create_dir(scripts.join("dir.json")).unwrap();
    let long = "x".repeat(300);
    for at in [long.as_str(), "dir.json", "sub/a.ps1/x.json"] {
        let refused = store(&files, at, "new").await;
        assert!(
            matches!(refused, Err(FileError::System { .. })),
            "{at}: {refused:?}"
        );
    }
    assert!(matches!(
        store(&files, "a\0b", "new").await,
        Err(FileError::NullByte)
    ));
    let deep = store(&files, &"y/".repeat(1000), "new").await;
    assert!(matches!(deep, Err(FileError::Outside)));
    let mut names: Vec<_> = std::fs::read_dir(&scripts)
        .unwrap()
        .map(|entry| entry.unwrap().file_name())
        .collect();
    names.sort();
    assert_eq!(names, ["dir.json", "sub"]);
    assert_eq!(std::fs::read(scripts.join("sub/a.ps1")).unwrap(), b"hi");
}

#[tokio::test]
async fn kept_files_are_kept_by_whatever_name_they_are_reached() {
    let (_root, files, scripts) = island();
    link(Path::new("sub"), scripts.join("alias"));
    link(Path::new("sub/a.ps1"), scripts.join("a.json"));
    let kept = || Kept(vec![path("sub/a.ps1")]);
    for at in ["sub/a.ps1", "alias/a.ps1", "a.json"] {
        let stored = files
            .store(Island::Scripts, path(at), "x".to_owned(), NOW, kept())
            .await;
        assert!(matches!(stored, Err(FileError::Kept)), "{at}: {stored:?}");
    }
    let of = EntryKind::Folder;
    let moved = files
        .relocate(Island::Scripts, path("sub"), of, path("else"), kept())
        .await;
    assert!(matches!(moved, Err(FileError::Kept)));
    let deleted = files.delete(Island::Scripts, path("sub"), of, kept()).await;
    assert!(matches!(deleted, Err(FileError::Kept)));
    files
        .store(Island::Scripts, path("sub/b.json"), "x".to_owned(), NOW, kept())
        .await
        .unwrap();
}

#[tokio::test]
async fn a_pipe_is_no_file_and_keeps_nobody() {
    let (_root, files, scripts) = island();
    let fifo = rustix::fs::FileType::Fifo;
    rustix::fs::mknodat(rustix::fs::CWD, scripts.join("pipe.ps1"), fifo, 0o600.into(), 0).unwrap();
    let list = files.list(
        Island::Scripts,
        |name| name.ends_with(".ps1"),
        |_, bytes| bytes.len(),
        Arc::default(),
    );
    let listing = tokio::time::timeout(Duration::from_secs(30), list)
        .await
        .unwrap()
        .unwrap();
    let found: Vec<_> = listing
        .files
        .iter()
        .map(|file| (file.path.as_str(), file.about))
        .collect();
    assert_eq!(
        (found, listing.folders),
        (vec![("sub/a.ps1", 2)], vec!["sub".to_owned()])
    );
    let pipe = path("pipe.ps1");
    let read = files.read(Island::Scripts, &pipe);
    assert_eq!(
        tokio::time::timeout(Duration::from_secs(30), read)
            .await
            .unwrap()
            .unwrap(),
        None
    );
}
