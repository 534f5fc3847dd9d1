//! What goes up to an address that an operator asks for through this server, and what comes down.

use http::{HeaderMap, HeaderName, HeaderValue, Method, header};

use crate::integrations::proxy_client::ProxyClient;
pub use crate::integrations::proxy_client::{ProxyAnswer, ProxyBody, ProxyError, ProxyRequest};

/// What does not go up: what is between the client and this server, what says who the client is, and what the library
/// says itself.
const NOT_UP: [HeaderName; 14] = [
    header::HOST,
    header::CONNECTION,
    header::CONTENT_LENGTH,
    header::TRANSFER_ENCODING,
    header::TE,
    header::TRAILER,
    header::UPGRADE,
    header::EXPECT,
    header::PROXY_AUTHORIZATION,
    header::PROXY_AUTHENTICATE,
    header::COOKIE,
    header::AUTHORIZATION,
    header::FORWARDED,
    HeaderName::from_static("x-real-ip"),
];
/// The beginning of what a proxy in front of this server adds.
const FORWARDING: &str = "x-forwarded-";
/// What does not come down: the four that the legacy drops, what would change what the connection speaks, and what would
/// set the operator's cookies.
const NOT_DOWN: [HeaderName; 6] = [
    header::CONNECTION,
    header::CONTENT_ENCODING,
    header::CONTENT_LENGTH,
    header::TRANSFER_ENCODING,
    header::UPGRADE,
    header::SET_COOKIE,
];

/// Asks for operators.
#[derive(Debug)]
pub struct ProxyService {
    client: ProxyClient,
}

impl ProxyService {
    pub fn new(client: ProxyClient) -> Self {
        Self { client }
    }

    /// Asks for what the request names.
    ///
    /// # Errors
    /// No answer came, or the target may not be reached.
    pub async fn forward(&self, mut request: ProxyRequest) -> Result<ProxyAnswer, ProxyError> {
        request.headers = headers_up(&request.headers, &request.method);
        let mut answer = self.client.ask(request).await?;
        answer.headers = headers_down(&answer.headers);
        Ok(answer)
    }
}

fn headers_up(headers: &HeaderMap, method: &Method) -> HeaderMap {
    let mut up: HeaderMap = headers
        .iter()
        .filter(|(name, _)| !NOT_UP.contains(name) && !name.as_str().starts_with(FORWARDING))
        .filter(|(name, value)| **name != header::ACCEPT_ENCODING || is_unpacked(value))
        .map(|(name, value)| (name.clone(), value.clone()))
        .collect();
    let mut usual = |name: HeaderName, value: &'static str| {
        up.entry(name).or_insert(HeaderValue::from_static(value));
    };
    usual(header::ACCEPT, "*/*");
    usual(header::USER_AGENT, "Borealis-Server");
    if *method == Method::GET {
        usual(header::CONTENT_TYPE, "text/plain");
    }
    up
}

/// Whether everything that the client takes can be unpacked here, as an answer is before it goes down. Where it takes
/// more, the library says what it can.
fn is_unpacked(accepted: &HeaderValue) -> bool {
    String::from_utf8_lossy(accepted.as_bytes())
        .split(',')
        .filter_map(|coding| coding.split(';').next())
        .map(|coding| coding.trim().to_ascii_lowercase())
        .all(|coding| matches!(coding.as_str(), "" | "identity" | "gzip" | "deflate"))
}

/// Of a header that stands there several times the last one alone, as in the legacy.
fn headers_down(headers: &HeaderMap) -> HeaderMap {
    headers
        .keys()
        .filter(|name| !NOT_DOWN.contains(name))
        .filter_map(|name| Some((name.clone(), headers.get_all(name).iter().next_back()?.clone())))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(all: &[(&'static str, &'static str)]) -> HeaderMap {
        all.iter()
            .map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value)))
            .collect()
    }

    #[test]
    fn who_asks_does_not_go_up() {
        let sent = headers(&[
            ("host", "borealis"),
            ("cookie", "session=x"),
            ("authorization", "Bearer x"),
            ("x-forwarded-for", "1.2.3.4"),
            ("x-forwarded-proto", "https"),
            ("accept-encoding", "br"),
            ("x-foo", "bar"),
            ("user-agent", "curl"),
        ]);
        let up = headers_up(&sent, &Method::GET);
        let expected = headers(&[
            ("x-foo", "bar"),
            ("user-agent", "curl"),
            ("accept", "*/*"),
            ("content-type", "text/plain"),
        ]);
        assert_eq!(up, expected);
        assert!(!headers_up(&HeaderMap::new(), &Method::POST).contains_key("content-type"));
    }

    #[test]
    fn what_the_client_can_unpack_goes_up_where_this_server_can_too() {
        for (accepted, goes_up) in [
            ("identity", true),
            ("", true),
            ("GZIP;q=0.5, deflate", true),
            ("gzip, deflate, br, zstd", false),
            ("*", false),
        ] {
            let up = headers_up(&headers(&[("accept-encoding", accepted)]), &Method::POST);
            assert_eq!(up.contains_key("accept-encoding"), goes_up, "{accepted}");
        }
    }

    #[test]
    fn cookies_do_not_come_down_and_of_a_repeated_header_the_last_does() {
        let sent = headers(&[
            ("set-cookie", "a=1"),
            ("x-up", "one"),
            ("x-up", "two"),
            ("content-encoding", "gzip"),
            ("content-type", "text/plain"),
            ("upgrade", "h2c"),
            ("keep-alive", "timeout=5"),
            ("trailer", "x-sum"),
            ("proxy-authenticate", "Basic"),
        ]);
        assert_eq!(
            headers_down(&sent),
            headers(&[
                ("x-up", "two"),
                ("content-type", "text/plain"),
                ("keep-alive", "timeout=5"),
                ("trailer", "x-sum"),
                ("proxy-authenticate", "Basic"),
            ])
        );
    }
}
