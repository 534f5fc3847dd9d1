use super::*;
use crate::{domain::fernet::FernetKey, testkit::Ground};

fn service(ground: &Ground, key: u8) -> CredentialService {
    let environment = ground.environment.clone();
    let secret_box = SecretBox::new(FernetKey::from_bytes([key; 32]), environment.clone());
    CredentialService::new(ground.store(), environment, secret_box)
}

fn caller() -> Operator {
    Operator {
        id: 1,
        username: "admin".to_owned(),
        display_name: String::new(),
        role: "Admin".to_owned(),
    }
}

fn change(name: &str) -> CredentialChange<String> {
    CredentialChange {
        name: Some(name.to_owned()),
        credential_type: Some(""),
        connection_type: Some("WinRM"),
        metadata_json: Some(Some("{\"transport\": \"ntlm\"}".to_owned())),
        secrets: Secrets {
            password: Some(Some("pw".to_owned())),
            ..Secrets::default()
        },
        ..CredentialChange::default()
    }
}

#[tokio::test]
async fn a_run_gets_the_secrets_in_clear_and_the_metadata() {
    let ground = Ground::new().await;
    let credentials = service(&ground, 1);
    let made = credentials.create(change("a"), &caller()).await.unwrap();
    let open = credentials.open(made.id).await.unwrap().unwrap();
    assert_eq!(
        (
            open.credential.credential_type.as_str(),
            open.credential.connection_type.as_str()
        ),
        ("machine", "winrm")
    );
    assert_eq!(
        (open.secrets.password.as_str(), open.secrets.private_key.as_str()),
        ("pw", "")
    );
    assert_eq!(open.metadata.get("transport"), Some(&"ntlm".into()));
    assert!(!format!("{open:?}").contains("pw"));
    assert_eq!(credentials.open(99).await.unwrap(), None);
    // A server with another key does not take the token for the secret (OPR-20).
    let open = service(&ground, 2).open(made.id).await.unwrap().unwrap();
    assert_eq!(open.secrets.password, "");
}

#[tokio::test]
async fn a_change_leaves_alone_what_it_does_not_name() {
    let ground = Ground::new().await;
    let credentials = service(&ground, 1);
    let made = credentials.create(change("a"), &caller()).await.unwrap();
    credentials.create(change("b"), &caller()).await.unwrap();
    let only = |name: Option<&str>, password| CredentialChange {
        name: name.map(str::to_owned),
        secrets: Secrets {
            password,
            ..Secrets::default()
        },
        ..CredentialChange::default()
    };
    assert!(matches!(
        credentials
            .update(made.id, only(Some("b"), None), &caller())
            .await,
        Err(CredentialError::NameTaken)
    ));
    assert!(matches!(
        credentials.update(99, only(Some("b"), None), &caller()).await,
        Err(CredentialError::NotFound)
    ));
    let renamed = credentials
        .update(made.id, only(Some("c"), None), &caller())
        .await
        .unwrap();
    assert_eq!(
        Credential {
            name: "a".to_owned(),
            ..renamed
        },
        made
    );
    let cleared = credentials
        .update(made.id, only(None, Some(None)), &caller())
        .await
        .unwrap();
    assert!(!stored(&cleared.secrets).password);
    assert_eq!(cleared.metadata_json, made.metadata_json);
}
