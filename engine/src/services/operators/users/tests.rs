use super::*;
use crate::testkit::{Ground, START};

/// Accounts of these names and roles, and the operators that they are.
async fn with(accounts: &[(&str, &str)]) -> (Ground, UserService, Vec<Operator>) {
    let ground = Ground::new().await;
    let store = ground.store();
    let mut work = store.begin().await.unwrap();
    for (username, role) in accounts {
        let user = NewUser {
            username: (*username).to_owned(),
            display_name: String::new(),
            password_sha512: "00".to_owned(),
            role: (*role).to_owned(),
        };
        work.insert_user(&user, 1).await.unwrap();
    }
    work.save().await.unwrap();
    let users = UserService::new(store, ground.environment.clone());
    let operators = users
        .list()
        .await
        .unwrap()
        .into_iter()
        .map(Operator::from)
        .collect();
    (ground, users, operators)
}

#[tokio::test]
async fn admins_who_delete_each_other_at_once_do_not_both_succeed() {
    let (_folder, users, operators) = with(&[("ann", "Admin"), ("ben", "ADMIN"), ("cy", "User")]).await;
    // Both were let in before either was deleted.
    users.delete("ben", &operators[0]).await.unwrap();
    assert!(matches!(
        users.delete("ann", &operators[1]).await,
        Err(UserError::DeletesLastAdmin)
    ));
    assert!(matches!(
        users.set_role("ann", Role::User, &operators[1]).await,
        Err(UserError::DemotesLastAdmin)
    ));
    users.delete("cy", &operators[1]).await.unwrap();
    assert_eq!(users.list().await.unwrap().len(), 1);
}

#[tokio::test]
async fn admins_whose_names_differ_in_case_alone_count_as_one() {
    // The legacy makes such accounts and changes them together (OPR-4).
    let (_folder, users, operators) = with(&[("Bob", "Admin"), ("bob", "Admin"), ("cy", "User")]).await;
    assert!(matches!(
        users.set_role("BOB", Role::User, &operators[0]).await,
        Err(UserError::DemotesLastAdmin)
    ));
    assert!(matches!(
        users.delete("bob", &operators[2]).await,
        Err(UserError::DeletesLastAdmin)
    ));
    users.reset_password("bob", "ab", &operators[0]).await.unwrap();
    let digests: Vec<_> = users
        .list()
        .await
        .unwrap()
        .into_iter()
        .map(|user| user.password_sha512)
        .collect();
    assert_eq!(digests, ["ab", "ab", "00"]);
}

#[tokio::test]
async fn switching_mfa_off_keeps_the_secret_unless_it_is_reset() {
    let (_folder, users, operators) = with(&[("ann", "Admin")]).await;
    let mut work = users.store.begin().await.unwrap();
    work.set_mfa_secret("ann", "S", 1).await.unwrap();
    work.save().await.unwrap();
    for (enabled, reset_secret, kept) in [
        (true, false, Some("S")),
        (false, false, Some("S")),
        (true, true, None),
    ] {
        let switch = MfaSwitch {
            enabled,
            reset_secret,
        };
        users.switch_mfa("ANN", switch, &operators[0]).await.unwrap();
        let user = users.list().await.unwrap().remove(0);
        assert_eq!((user.mfa_enabled, user.mfa_secret.as_deref()), (enabled, kept));
        assert_eq!(user.updated_at.as_int(), Some(START));
    }
    let switch = MfaSwitch {
        enabled: true,
        reset_secret: true,
    };
    assert!(matches!(
        users.switch_mfa("nobody", switch, &operators[0]).await,
        Err(UserError::NotFound)
    ));
}
