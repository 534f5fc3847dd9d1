//! What parity does not look at: all of it, in one table.
//!
//! Whatever the comparison leaves out is left out by one of these masks, and says so where it does. The report prints the
//! table with how often each was used, and `parity prove` holds every change that nobody notices against it.

use schemars::JsonSchema;
use serde::Serialize;

/// How far the replay's clock moves within a step, and how exactly step times were recorded, in microseconds.
pub const TOLERANCE_US: i64 = 1000;
/// A file's time is that of the kernel's last tick, which came at most this much before, in microseconds.
pub const TICK_US: i64 = 10_000;
/// An event can reach the recorder this much after the step that caused it, in microseconds.
pub const LATE_US: i64 = 50_000;
/// From so long a jump of the clock on, background work may have been woken by it, in microseconds.
pub const JUMP_US: i64 = 5_000_000;
/// Fields with a measured duration: equal to a tenth of a second.
pub const DURATIONS: [&str; 2] = ["retry_after", "age_seconds"];
/// At most so many rows of a table are looked at.
pub const MOST_ROWS: usize = 200;
/// Of JSON bodies up to this many bytes it is compared how they are written, of longer ones only what they say: recordings
/// do not hold their text.
pub const LONGEST_JSON_TEXT: usize = 8192;

/// One thing that is not looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Row {
    /// What the register of survivors calls it.
    pub id: &'static str,
    /// What is not looked at.
    pub what: &'static str,
    /// What is compared in its place.
    pub instead: &'static str,
    /// Why.
    pub reason: &'static str,
}

macro_rules! masks {
    ($($(#[$doc:meta])* $name:ident $id:literal $what:literal $instead:literal $reason:literal;)*) => {
        /// A mask: what it hides, and what is compared instead.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
        pub enum Mask { $($(#[$doc])* $name,)* }

        impl Mask {
            /// Every mask there is.
            pub const ALL: &[Self] = &[$(Self::$name,)*];

            /// Its row of the table.
            #[must_use]
            pub const fn row(self) -> Row {
                match self {
                    $(Self::$name => Row { id: $id, what: $what, instead: $instead, reason: $reason },)*
                }
            }
        }
    };
}

masks! {
    /// [`crate::normalize`], wherever a value gets a name.
    RandomValue "random-value"
        "the text of an id, token, code, nonce, key or password that a server made up"
        "its form and length, and that it stands in the same places, wherever else it is shown or stored"
        "two servers make two of them";
    /// Signatures of tokens and cookies, payloads and sealed texts.
    Signature "signature"
        "the bytes of a signature, and of what is sealed"
        "which key made it, over which bytes, and what is sealed, wherever the key is known: cookies, operators' tokens, scripts, playbooks, secrets under a given key; access tokens on the engine's side"
        "recordings hold no private key, so what their own keys made cannot be verified again";
    /// Files that hold a private key.
    PrivateKey "private-key"
        "the content of files with a private key or a secret"
        "that the file is there, its name, mode and size; what is signed with it is verified with its public half"
        "every root has keys of its own, and recordings hold none";
    /// Certificates, wherever they are shown.
    Certificate "certificate"
        "serial number and key of a certificate, what is made from the key, and the bytes of the signature"
        "names, extensions, begin, seconds of lifetime, and which certificate signed it: its own, one beside it or one in a file"
        "every root has certificates of its own";
    /// The text of an `ETag`.
    EntityTag "entity-tag"
        "the text of an ETag"
        "that it is weak or strong, quoted and not empty, and which answers have the same one"
        "it means something only to the server that made it";
    /// `Content-Length` where it says the truth.
    BodyLength "body-length"
        "the number in a Content-Length that is the length of the body"
        "the body itself; a number that is not its length is compared as it is"
        "a body that holds made-up values can be a character longer or shorter";
    /// The order of the methods in `Allow`.
    AllowOrder "allow-order"
        "the order of the methods in Allow"
        "which methods there are, and how the header is written"
        "the legacy's order is another one after each start";
    /// Where a repeated header stands among the others.
    RepeatedHeader "repeated-header"
        "between which other headers a repeated one stands"
        "the order of the headers, with those of one name together where the first stands, and their order among each other"
        "it means nothing to any client, and HTTP libraries do not keep it";
    /// The server's own address.
    Address "address"
        "address, folder and machine name of the server that is asked"
        "that it is this server's, as ${host}, ${base} or ${root}"
        "each server has one of its own";
    /// The moment within a step.
    Moment "moment"
        "at which moment within a step a time was taken, what is below a millisecond, and, where the clock runs, 10 ms before the step, because a file's time is that of the kernel's last tick"
        "the step in which it was taken, what it was made to live, and how it is written; times of one answer, row or event are equal to each other on both sides, or on none"
        "a clock that runs shows another moment each time; the replay's stands still at the end of each step";
    /// Measured durations.
    Duration "duration"
        "a tenth of a second, and the lengths of the steps between which they lie, of measured durations (retry_after, age_seconds)"
        "the rest of the number, its sign and how it is written"
        "they are measured from one step to another, and each moment is one within a step";
    /// The step during which a socket received an event.
    EventStep "event-step"
        "during which of two neighbouring steps, of those within 50 ms, or of those behind a step that only wait or look and take less than 5 s, a socket received an event"
        "which socket, which event, what it held, how often, and the order on each connection"
        "it takes an event some milliseconds to arrive, and what a server does by itself takes its own time, whatever looks on";
    /// Whether arguments came one by one.
    Arguments "arguments"
        "whether an event carries one list or several arguments, and an empty list or nothing"
        "what it carries, value by value"
        "recordings write both in one way";
    /// Members that one side alone has.
    OneSided "one-sided-member"
        "between which other members of an object one stands that only one side has"
        "its name and value, which the register has to expect, and the order of the members that both have"
        "the other side has nothing that stands there";
    /// Heartbeats of the channel in answers to polls.
    Ping "ping"
        "pings in answers of the polling transport"
        "every other packet, and its order; that pings come, and when, is tested with the real clients"
        "they come by the real clock, which no replay repeats";
    /// The limit that open packets announce.
    PayloadLimit "payload-limit"
        "that the open packet of a scenario's socket announces 100,000,000 bytes where the legacy's announces 1,000,000; and what it announced in recordings"
        "every other limit, and all else that it says, in which order and how it is written: with what another live server says, or with what the contract says of the legacy"
        "the register has that decision once, for realtime/raw_polling_session; recordings hold no open packets of sockets";
    /// What was asked of GitHub.
    UpstreamOrder "upstream-order"
        "the order in which a server asked GitHub, and the headers with which it did but Authorization"
        "what it asked, and how often"
        "the legacy asks from several threads, and recordings hold no other header";
    /// The server time's text.
    DisplayTime "display-time"
        "the text for people of the server's time"
        "that it has the form of one, and says the minute of the time beside it"
        "recordings hold no more of it";
    /// Pictures.
    Picture "picture"
        "the bytes of a picture"
        "its size, and the text of the QR code that it shows"
        "two encoders write one picture in two ways";
    /// Copies of the database.
    Backup "backup"
        "the bytes of a database's copy"
        "its tables, row by row"
        "SQLite decides how they lie in the file";
    /// Long tables, as recordings hold them.
    MoreRows "more-rows"
        "rows of a table behind the first 200"
        "the 200 rows"
        "recordings hold no more";
    /// The text of long JSON answers.
    LongText "long-text"
        "how a JSON answer of more than 8 KiB is written"
        "what it says, and the order of its members"
        "recordings do not hold its text";
    /// How an answer comes.
    Delivery "delivery"
        "how an answer travels: in which pieces it comes and how long it takes, white space around a header's value, and what becomes of its connection later"
        "its head and body, with what they say about pieces and connection; that no step waits for it longer than the patience, and that nothing else comes with it"
        "recordings hold none of it; `parity bench` measures how long answers take";
    /// What files have beside name, mode and content.
    Surroundings "surroundings"
        "folders (those without a file in them, and their modes), and owners and times of files"
        "names, modes and contents of files, and `Last-Modified` where an answer has it"
        "recordings hold none of it";
    /// How tables are defined.
    Schema "schema"
        "how the tables are defined that a server left: types, defaults, keys, indexes, triggers, and SQLite's own tables"
        "columns and rows of the tables; of a new database all the rest by the scenarios platform/schema_tables, platform/schema_indexes_and_keys and inventory/schema"
        "recordings hold the rows alone";
    /// What a server left, of a scenario that was recorded over the network.
    NobodyLooked "nobody-looked"
        "tables and files that a server left, where its answers were recorded by `parity record`"
        "all that its clients were shown, and what later requests show of what it stored"
        "a proxy sees what passes, and not what lies on the server's disk";
    /// Entries of others in lists of a server that others use.
    Others "others-entries"
        "entries of lists, events and ages of cached values that are others', on a server that others use"
        "all that mentions the names that the run gave"
        "others work there meanwhile";
    /// The numbers of rows on a server that others use.
    RowNumber "row-number"
        "the numbers of rows, on a server that others use"
        "which places show the number of the same row"
        "a server counts its rows from its own beginning";
    /// A request to enroll that a server that others use put off.
    PutOff "put-off"
        "that a request to enroll was put off (429), on a server that others use"
        "what it was answered when it was sent again, after the time that the server named"
        "a server counts who asks from one address, other runs and other people among them";
    /// The machine's own name in certificates.
    MachineName "machine-name"
        "the name of the machine among the names of a certificate that a server made there"
        "all other names, and everything else that the certificate says"
        "another machine has another name";
    /// Who signed a cookie, where a server keeps its secret to itself.
    Signer "unknown-signer"
        "with which secret a cookie was signed, where that of a server is not known"
        "what the cookie says, its form, and which cookies are the same"
        "nobody can verify a signature without the secret: PARITY_SECRET, or `secret` in parity.toml, names it";
    /// Log files and SQLite's own.
    Logs "logs"
        "log files, and the database's journals"
        "nothing; audit lines are asserted by the engine's own tests"
        "their lines hold times and threads, and both servers' differ";
}

/// How often each mask was used.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Masked([u64; Mask::ALL.len()]);

impl Masked {
    /// It was used in one more place.
    pub(crate) fn note(&mut self, mask: Mask) {
        if let Some(count) = self.0.get_mut(mask as usize) {
            *count += 1;
        }
    }

    /// Those of both.
    pub(crate) fn add(&mut self, other: &Self) {
        for (count, more) in self.0.iter_mut().zip(other.0) {
            *count += more;
        }
    }

    /// Every mask with the number of places.
    pub fn counts(&self) -> impl Iterator<Item = (Mask, u64)> {
        Mask::ALL.iter().copied().zip(self.0)
    }
}

/// A row of the table in a report.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, serde::Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct NotLookedAt {
    /// What the register of survivors calls it.
    pub id: String,
    /// What is not looked at.
    pub what: String,
    /// What is compared in its place.
    pub instead: String,
    /// Why.
    pub reason: String,
    /// In how many places of this run.
    pub places: u64,
}

impl Masked {
    /// The whole table, with the numbers of a run.
    #[must_use]
    pub fn table(&self) -> Vec<NotLookedAt> {
        let row = |(mask, places): (Mask, u64)| {
            let Row {
                id,
                what,
                instead,
                reason,
            } = mask.row();
            NotLookedAt {
                id: id.to_owned(),
                what: what.to_owned(),
                instead: instead.to_owned(),
                reason: reason.to_owned(),
                places,
            }
        };
        self.counts().map(row).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_mask_has_a_name_of_its_own_and_is_counted() {
        let mut masked = Masked::default();
        masked.note(Mask::Logs);
        masked.add(&masked.clone());
        let table = masked.table();
        let names: std::collections::BTreeSet<_> = table.iter().map(|row| &row.id).collect();
        assert_eq!((names.len(), table.len()), (Mask::ALL.len(), Mask::ALL.len()));
        let used: Vec<_> = table.iter().filter(|row| row.places > 0).collect();
        assert!(matches!(used.as_slice(), [row] if row.id == "logs" && row.places == 2));
    }

    #[test]
    fn the_tables_numbers_are_those_that_the_code_uses() {
        assert!(Mask::MoreRows.row().what.contains(&MOST_ROWS.to_string()));
        assert!(
            Mask::LongText
                .row()
                .what
                .contains(&format!("{} KiB", LONGEST_JSON_TEXT / 1024))
        );
        assert!(
            Mask::Moment
                .row()
                .what
                .contains(&format!("{} ms before", TICK_US / 1000))
        );
        assert!(
            Mask::EventStep
                .row()
                .what
                .contains(&format!("{} ms", LATE_US / 1000))
        );
        assert!(
            Mask::EventStep
                .row()
                .what
                .contains(&format!("{} s,", JUMP_US / 1_000_000))
        );
        assert!(
            DURATIONS
                .iter()
                .all(|field| Mask::Duration.row().what.contains(field))
        );
    }
}
