//! Table `credentials`.

use async_trait::async_trait;
use sqlx::{QueryBuilder, Sqlite, sqlite::SqliteRow};

use super::{
    Access, SqliteWork,
    rows::{Columns, ReadRows as _},
};
use crate::{
    domain::credentials::{Credential, CredentialChange, CredentialFilter, Sealed, Secrets},
    repositories::{
        StoreError,
        credentials::{ReadCredentials, WriteCredentials},
    },
};

macro_rules! select_credentials {
    ($condition:literal) => {
        concat!(
            "SELECT credentials.id, credentials.name, credentials.description, site_id, sites.name AS site_name, ",
            "credential_type, connection_type, username, become_method, become_username, metadata_json, ",
            "password_encrypted, private_key_encrypted, private_key_passphrase_encrypted, ",
            "become_password_encrypted, credentials.created_at, updated_at ",
            "FROM credentials LEFT JOIN sites ON sites.id = credentials.site_id ",
            $condition
        )
    };
}

fn read(row: &SqliteRow) -> Result<Credential, StoreError> {
    let row = Columns::of("credentials", row);
    Ok(Credential {
        id: row.get("id")?,
        name: row.get("name")?,
        description: row.get("description")?,
        site_id: row.stored("site_id")?,
        site_name: row.get("site_name")?,
        credential_type: row.get::<Option<_>>("credential_type")?.unwrap_or_default(),
        connection_type: row.get::<Option<_>>("connection_type")?.unwrap_or_default(),
        username: row.get("username")?,
        become_method: row.get("become_method")?,
        become_username: row.get("become_username")?,
        metadata_json: row.get("metadata_json")?,
        secrets: Secrets {
            password: row.get("password_encrypted")?,
            private_key: row.get("private_key_encrypted")?,
            private_key_passphrase: row.get("private_key_passphrase_encrypted")?,
            become_password: row.get("become_password_encrypted")?,
        },
        created_at: row.integer("created_at")?.unwrap_or_default(),
        updated_at: row.integer("updated_at")?.unwrap_or_default(),
    })
}

/// A value for a column.
enum Value {
    Text(Option<String>),
    Integer(Option<i64>),
    Blob(Sealed),
}

impl Value {
    fn bind(self, statement: &mut QueryBuilder<Sqlite>) {
        match self {
            Self::Text(text) => statement.push_bind(text),
            Self::Integer(number) => statement.push_bind(number),
            Self::Blob(bytes) => statement.push_bind(bytes),
        };
    }
}

/// The columns that a change writes.
fn columns(change: &CredentialChange<Vec<u8>>) -> Vec<(&'static str, Value)> {
    let text = |value: &Option<String>| value.clone().map(|value| Value::Text(Some(value)));
    let word = |value: Option<&str>| value.map(|value| Value::Text(Some(value.to_owned())));
    let blob = |value: &Option<Sealed>| value.clone().map(Value::Blob);
    let secrets = &change.secrets;
    [
        ("name", text(&change.name)),
        ("description", text(&change.description)),
        ("site_id", change.site_id.map(Value::Integer)),
        ("credential_type", word(change.credential_type)),
        ("connection_type", word(change.connection_type)),
        ("username", text(&change.username)),
        ("become_method", word(change.become_method)),
        ("become_username", text(&change.become_username)),
        ("metadata_json", change.metadata_json.clone().map(Value::Text)),
        ("password_encrypted", blob(&secrets.password)),
        ("private_key_encrypted", blob(&secrets.private_key)),
        (
            "private_key_passphrase_encrypted",
            blob(&secrets.private_key_passphrase),
        ),
        ("become_password_encrypted", blob(&secrets.become_password)),
    ]
    .into_iter()
    .filter_map(|(column, value)| value.map(|value| (column, value)))
    .collect()
}

#[async_trait]
impl<A: Access> ReadCredentials for A {
    async fn list_credentials(&mut self, filter: CredentialFilter) -> Result<Vec<Credential>, StoreError> {
        sqlx::query(select_credentials!(
            "WHERE ($1 IS NULL OR site_id = $1) AND ($2 IS NULL OR LOWER(connection_type) = $2) \
             ORDER BY LOWER(credentials.name)"
        ))
        .bind(filter.site_id)
        .bind(filter.connection_type)
        .read_all(self.connection(), read)
        .await
    }

    async fn find_credential(&mut self, id: i64) -> Result<Option<Credential>, StoreError> {
        sqlx::query(select_credentials!("WHERE credentials.id = $1"))
            .bind(id)
            .read_one(self.connection(), read)
            .await
    }

    async fn find_credential_id(&mut self, name: &str) -> Result<Option<i64>, StoreError> {
        Ok(sqlx::query_scalar("SELECT id FROM credentials WHERE name = $1")
            .bind(name)
            .fetch_optional(self.connection())
            .await?)
    }
}

#[async_trait]
impl WriteCredentials for SqliteWork {
    async fn insert_credential(
        &mut self,
        credential: &CredentialChange<Vec<u8>>,
        now: i64,
    ) -> Result<i64, StoreError> {
        let (names, values): (Vec<_>, Vec<_>) = columns(credential).into_iter().unzip();
        let mut statement = QueryBuilder::new("INSERT INTO credentials (created_at, updated_at");
        for name in names {
            statement.push(", ").push(name);
        }
        statement.push(") VALUES (").push_bind(now);
        statement.push(", ").push_bind(now);
        for value in values {
            statement.push(", ");
            value.bind(&mut statement);
        }
        let done = statement.push(")").build().execute(self.connection()).await?;
        Ok(done.last_insert_rowid())
    }

    async fn update_credential(
        &mut self,
        id: i64,
        change: &CredentialChange<Vec<u8>>,
        now: i64,
    ) -> Result<(), StoreError> {
        let mut statement = QueryBuilder::new("UPDATE credentials SET updated_at = ");
        statement.push_bind(now);
        for (name, value) in columns(change) {
            statement.push(", ").push(name).push(" = ");
            value.bind(&mut statement);
        }
        statement.push(" WHERE id = ").push_bind(id);
        statement.build().execute(self.connection()).await?;
        Ok(())
    }

    async fn delete_credential(&mut self, id: i64) -> Result<bool, StoreError> {
        let deleted = sqlx::query("DELETE FROM credentials WHERE id = $1")
            .bind(id)
            .execute(self.connection())
            .await?;
        if deleted.rows_affected() == 0 {
            return Ok(false);
        }
        sqlx::query("UPDATE scheduled_jobs SET credential_id = NULL WHERE credential_id = $1")
            .bind(id)
            .execute(self.connection())
            .await?;
        Ok(true)
    }
}
