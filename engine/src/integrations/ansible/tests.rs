use super::*;

async fn run(command: PlaybookCommand) -> io::Result<PlaybookOutcome> {
    start(&command)?.finish().await
}

fn shell(script: &str, patience: Option<Duration>) -> PlaybookCommand {
    PlaybookCommand {
        program: "sh".into(),
        arguments: vec!["-c".into(), script.into()],
        folder: std::env::temp_dir(),
        environment: BTreeMap::from([("PATH".to_owned(), "/usr/bin:/bin".into())]),
        patience,
    }
}

#[tokio::test]
async fn output_and_code_come_back_and_output_is_bounded() {
    let outcome = run(shell("echo out; echo err >&2; exit 3", None)).await.unwrap();
    assert_eq!(
        (outcome.code, outcome.stdout.as_str(), outcome.stderr.as_str()),
        (Some(3), "out\n", "err\n")
    );
    let long = run(shell("head -c 6000000 /dev/zero", None)).await.unwrap();
    assert_eq!(long.stdout.len(), MOST_OUTPUT);
}

#[tokio::test]
async fn what_cannot_start_is_an_error_and_what_does_not_end_is_ended() {
    let mut missing = shell("", None);
    missing.program = "no-such-program-anywhere".into();
    assert_eq!(run(missing).await.unwrap_err().kind(), io::ErrorKind::NotFound);
    let endless = shell("echo begun; sleep 600", Some(Duration::from_millis(500)));
    let outcome = run(endless).await.unwrap();
    assert_eq!((outcome.timed_out, outcome.code), (true, None));
}

/// Waits until nobody has this number, or only a dead one that nobody asked after.
#[cfg(target_os = "linux")]
async fn has_ended(id: &str) {
    for _ in 0..3000 {
        let stat = std::fs::read_to_string(format!("/proc/{id}/stat")).unwrap_or_default();
        if stat.is_empty() || stat.contains(") Z ") {
            return;
        }
        tokio::task::spawn_blocking(|| std::thread::sleep(Duration::from_millis(10)))
            .await
            .unwrap();
    }
    panic!("process {id} lives on");
}

/// A shell that starts a child, and one in a session of its own; both write down their numbers.
#[cfg(target_os = "linux")]
fn family(folder: &Path) -> PlaybookCommand {
    let mut command = shell(
        "sleep 600 & echo $! > one; setsid sh -c 'echo $$ > two.new; mv two.new two; sleep 600; true' & \
         while [ ! -s two ]; do :; done; echo > ready; wait",
        None,
    );
    command.folder = folder.to_owned();
    command
}

#[cfg(target_os = "linux")]
async fn begun(folder: &Path) -> [String; 2] {
    while !folder.join("ready").exists() {
        tokio::task::yield_now().await;
    }
    ["one", "two"].map(|name| {
        std::fs::read_to_string(folder.join(name))
            .unwrap()
            .trim()
            .to_owned()
    })
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn a_timeout_ends_grandchildren_too() {
    let folder = tempfile::tempdir().unwrap();
    let mut running = start(&family(folder.path())).unwrap();
    let family = begun(folder.path()).await;
    running.patience = Some(Duration::from_millis(20));
    assert!(running.finish().await.unwrap().timed_out);
    for id in &family {
        has_ended(id).await;
    }
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn a_stop_ends_grandchildren_too() {
    let folder = tempfile::tempdir().unwrap();
    let running = start(&family(folder.path())).unwrap();
    let family = begun(folder.path()).await;
    drop(running);
    for id in &family {
        has_ended(id).await;
    }
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn what_a_crash_left_at_work_is_ended_and_nothing_else() {
    let folder = tempfile::tempdir().unwrap();
    let root = WorkRoot::new(folder.path().join("runs"));
    assert_eq!(root.end_left_over().await.unwrap(), 0);
    root.empty().await.unwrap();
    assert_eq!(root.end_left_over().await.unwrap(), 0);
    let mut families = Vec::new();
    for (name, own) in [
        ("ours", root.folder("ours")),
        ("other", folder.path().join("other")),
    ] {
        let place = folder.path().join(format!("{name} files"));
        std::fs::create_dir_all(&place).unwrap();
        std::fs::create_dir_all(&own).unwrap();
        let mut command = family(&place);
        command
            .environment
            .insert(OWN_FOLDER.to_owned(), own.join("tmp").into_os_string());
        let running = start(&command).unwrap();
        families.push((running, begun(&place).await));
    }
    let [(ours, left), (other, others)] = <[_; 2]>::try_from(families).unwrap();
    // The server is killed: nothing of its own ends what it started.
    std::mem::forget(ours);
    assert!(root.end_left_over().await.unwrap() >= 3);
    for id in &left {
        has_ended(id).await;
    }
    for id in &others {
        let stat = std::fs::read_to_string(format!("/proc/{id}/stat")).unwrap();
        assert!(!stat.contains(") Z "), "{stat}");
    }
    drop(other);
}

#[tokio::test]
async fn what_stays_in_the_background_does_not_hold_up_the_end() {
    let outcome = run(shell("sleep 30 & echo out", None)).await.unwrap();
    assert_eq!((outcome.code, outcome.stdout.as_str()), (Some(0), "out\n"));
}

#[cfg(unix)]
#[tokio::test]
async fn a_run_gets_the_environment_that_it_is_given_and_no_other() {
    let mut command = shell(
        "env | cut -d= -f1 | grep -v '^_$\\|^PWD$\\|^SHLVL$\\|^OLDPWD$'",
        None,
    );
    command.environment.insert("LANG".to_owned(), "C.UTF-8".into());
    assert_eq!(
        run(command)
            .await
            .unwrap()
            .stdout
            .lines()
            .collect::<std::collections::BTreeSet<_>>(),
        ["LANG", "PATH"].into()
    );
}

#[cfg(unix)]
#[tokio::test]
async fn the_work_root_is_private_and_empty_after_every_start() {
    use std::os::unix::fs::PermissionsExt as _;
    let parent = tempfile::tempdir().unwrap();
    let path = parent.path().join("a/runs");
    std::fs::create_dir_all(path.join("run/deep")).unwrap();
    std::fs::write(path.join("run/ssh_key"), "secret").unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
    let root = WorkRoot::new(path.clone());
    for _ in 0..2 {
        root.empty().await.unwrap();
        let mode = std::fs::metadata(&path).unwrap().permissions().mode() & 0o777;
        assert_eq!((mode, std::fs::read_dir(&path).unwrap().count()), (0o700, 0));
    }
    assert!(remove_left_over(path.clone()).await.unwrap());
    assert!(!remove_left_over(path).await.unwrap());
}

#[cfg(unix)]
#[tokio::test]
async fn work_files_are_private_and_go_away() {
    use std::os::unix::fs::PermissionsExt as _;
    let parent = tempfile::tempdir().unwrap();
    let path = parent.path().join("a/b");
    let folder = WorkFolder::create(path.clone(), vec![("secret", b"x".to_vec())])
        .await
        .unwrap();
    let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(
        (mode(folder.path()), mode(&folder.path().join("secret"))),
        (0o700, 0o600)
    );
    drop(folder);
    assert!(!path.exists());
}
