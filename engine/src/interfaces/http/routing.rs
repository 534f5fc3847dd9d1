//! The route table, and the layer before it that decides paths and methods as the legacy does.
//!
//! Long because the table and the way through it are read together.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    convert::Infallible,
};

use axum::{
    Router,
    extract::Request,
    handler::Handler,
    response::{IntoResponse, Response},
    routing::{MethodFilter, MethodRouter, on},
};
use http::{Method, Uri};
use percent_encoding::AsciiSet;
use tower::{Service, ServiceExt};

use super::{
    compat::{
        error_page::{ErrorPage, options, redirect},
        forwarded::Caller,
        path::{all_but, decode, encode, is_number, is_socket_path},
        reply::TextForm,
    },
    detached::DetachedRequests,
    observed::{self, Observed},
    pages::Pages,
    set_apart::{SetApart, shared::SharedLists},
    signature::{Described, Signature},
};
use crate::config::network::PublicUrl;

/// The methods of the page route, which matches every path.
const PAGE_METHODS: [&str; 3] = ["GET", "HEAD", "OPTIONS"];

/// What is escaped in a redirect's path.
const ESCAPED_IN_REDIRECT: &AsciiSet = &all_but("!$&'()*+,/:;=@");

/// The address as the client sent it; handlers see a rewritten one.
#[derive(Clone, Debug)]
pub struct ClientUri(pub Uri);

/// A segment of a pattern. The order is that of preference between patterns.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
enum Segment {
    Text(String),
    Int,
    Any,
}

impl Segment {
    fn parse(text: &str) -> Self {
        match text.strip_prefix('{').and_then(|name| name.strip_suffix('}')) {
            None => Self::Text(text.to_owned()),
            Some(name) if name.ends_with(":int") => Self::Int,
            Some(_) => Self::Any,
        }
    }

    fn matches(&self, text: &str) -> bool {
        match self {
            Self::Text(expected) => expected == text,
            Self::Int => is_number(text),
            Self::Any => !text.is_empty(),
        }
    }
}

#[derive(Clone, Debug)]
struct Route<S> {
    path: String,
    segments: Vec<Segment>,
    methods: BTreeSet<&'static str>,
    handlers: MethodRouter<S>,
    /// How its answers are written.
    form: TextForm,
    /// Whether its answers to GET and HEAD take the processor for long.
    is_long: bool,
    /// What the handler of each method takes and answers.
    signatures: BTreeMap<&'static str, Signature>,
}

impl<S> Route<S> {
    fn is_fixed(&self) -> bool {
        self.segments
            .iter()
            .all(|segment| matches!(segment, Segment::Text(_)))
    }

    fn answers(&self, method: &Method) -> bool {
        self.methods.contains(method.as_str())
    }

    fn matches(&self, segments: &[&str]) -> bool {
        self.segments.len() == segments.len()
            && self
                .segments
                .iter()
                .zip(segments)
                .all(|(pattern, segment)| pattern.matches(segment))
    }
}

/// The routes of the server while they are being collected. `{name}` in a path stands for one segment, `{name:int}`
/// for one of digits only, of whatever script.
#[derive(Debug)]
pub struct Routes<S = ()> {
    routes: Vec<Route<S>>,
    socket: Option<Router>,
    set_apart: Option<SetApart>,
}

impl<S: Clone + Send + Sync + 'static> Default for Routes<S> {
    fn default() -> Self {
        Self::new()
    }
}

impl<S: Clone + Send + Sync + 'static> Routes<S> {
    pub fn new() -> Self {
        Self {
            routes: Vec::new(),
            socket: None,
            set_apart: None,
        }
    }

    /// Adds a GET route, which answers HEAD too.
    pub fn get<H: Handler<T, S> + Described<T>, T: 'static>(self, path: &str, handler: H) -> Self {
        self.route(
            path,
            &["GET", "HEAD"],
            on(MethodFilter::GET, handler),
            H::signature(),
        )
    }

    /// Adds a GET route whose answer grows with the fleet. It is made apart from other requests.
    pub fn get_long<H: Handler<T, S> + Described<T>, T: 'static>(self, path: &str, handler: H) -> Self {
        let mut routes = self.get(path, handler);
        if let Some(route) = routes.routes.iter_mut().find(|route| route.path == path) {
            route.is_long = true;
        }
        routes
    }

    /// Adds a POST route.
    pub fn post<H: Handler<T, S> + Described<T>, T: 'static>(self, path: &str, handler: H) -> Self {
        self.route(path, &["POST"], on(MethodFilter::POST, handler), H::signature())
    }

    /// Adds a PUT route.
    pub fn put<H: Handler<T, S> + Described<T>, T: 'static>(self, path: &str, handler: H) -> Self {
        self.route(path, &["PUT"], on(MethodFilter::PUT, handler), H::signature())
    }

    /// Adds a PATCH route.
    pub fn patch<H: Handler<T, S> + Described<T>, T: 'static>(self, path: &str, handler: H) -> Self {
        self.route(path, &["PATCH"], on(MethodFilter::PATCH, handler), H::signature())
    }

    /// Adds a DELETE route.
    pub fn delete<H: Handler<T, S> + Described<T>, T: 'static>(self, path: &str, handler: H) -> Self {
        self.route(
            path,
            &["DELETE"],
            on(MethodFilter::DELETE, handler),
            H::signature(),
        )
    }

    /// Adds an OPTIONS route, for the paths that do not answer OPTIONS with the list of methods.
    pub fn options<H: Handler<T, S> + Described<T>, T: 'static>(self, path: &str, handler: H) -> Self {
        self.route(
            path,
            &["OPTIONS"],
            on(MethodFilter::OPTIONS, handler),
            H::signature(),
        )
    }

    /// The same routes, whose answers are written in this form.
    pub fn written(mut self, form: TextForm) -> Self {
        for route in &mut self.routes {
            route.form = form;
        }
        self
    }

    /// Paths and methods, in the order in which they were added.
    pub fn listing(&self) -> impl Iterator<Item = (&'static str, &str)> {
        self.signatures().map(|(method, path, _)| (method, path))
    }

    /// The same, and what their handlers take and answer.
    pub fn signatures(&self) -> impl Iterator<Item = (&'static str, &str, &Signature)> {
        self.routes.iter().flat_map(|route| {
            let handlers = route.signatures.iter();
            handlers.map(|(method, signature)| (*method, route.path.as_str(), signature))
        })
    }

    /// The path, as it was added, of the route that answers a request.
    pub fn pattern_of(&self, method: &str, path: &str) -> Option<&str> {
        let segments: Vec<&str> = path.split('/').collect();
        let answers = |route: &&Route<S>| route.methods.contains(method) && route.matches(&segments);
        let routes = self.routes.iter().filter(answers);
        routes
            .min_by(|one, other| one.segments.cmp(&other.segments))
            .map(|route| route.path.as_str())
    }

    /// Hands every path below `/socket.io/` to `service`.
    pub fn with_socket_endpoint<T>(mut self, service: T) -> Self
    where
        T: Service<Request, Error = Infallible> + Clone + Send + Sync + 'static,
        T::Response: IntoResponse,
        T::Future: Send + 'static,
    {
        self.socket = Some(Router::new().fallback_service(service));
        self
    }

    /// Makes long answers where `lists` are made.
    pub fn with_shared_lists(mut self, lists: &SharedLists) -> Self {
        self.set_apart = Some(lists.apart());
        self
    }

    /// The routes of both. A path and method that both have is a mistake in the code, and axum panics at start.
    pub fn merge(mut self, other: Self) -> Self {
        for route in other.routes {
            self = self.add(route);
        }
        self.socket = self.socket.or(other.socket);
        self.set_apart = self.set_apart.or(other.set_apart);
        self
    }

    /// Gives the handlers their state.
    pub fn with_state(self, state: S) -> Routes {
        let with_state = |route: Route<S>| Route {
            path: route.path,
            segments: route.segments,
            methods: route.methods,
            handlers: route.handlers.with_state(state.clone()),
            form: route.form,
            is_long: route.is_long,
            signatures: route.signatures,
        };
        Routes {
            routes: self.routes.into_iter().map(with_state).collect(),
            socket: self.socket,
            set_apart: self.set_apart,
        }
    }

    fn route(
        self,
        path: &str,
        methods: &[&'static str],
        handlers: MethodRouter<S>,
        signature: Signature,
    ) -> Self {
        self.add(Route {
            path: path.to_owned(),
            segments: path.split('/').map(Segment::parse).collect(),
            methods: methods.iter().copied().collect(),
            handlers,
            form: TextForm::default(),
            is_long: false,
            signatures: methods
                .first()
                .map(|method| (*method, signature))
                .into_iter()
                .collect(),
        })
    }

    fn add(mut self, added: Route<S>) -> Self {
        match self.routes.iter_mut().find(|route| route.path == added.path) {
            Some(route) => {
                route.methods.extend(added.methods);
                route.is_long |= added.is_long;
                route.signatures.extend(added.signatures);
                route.handlers = std::mem::take(&mut route.handlers).merge(added.handlers);
            }
            None => self.routes.push(added),
        }
        self
    }
}

impl Routes {
    /// The table in use, with the page route behind it.
    pub(super) fn into_dispatcher(
        mut self,
        pages: Pages,
        public_url: Option<PublicUrl>,
        detached: DetachedRequests,
    ) -> Dispatcher {
        // The preferred pattern first: fixed text before digits before anything.
        self.routes
            .sort_by(|one, other| one.segments.cmp(&other.segments));
        let mut router = Router::new();
        for (index, route) in self.routes.iter().enumerate() {
            // Each pattern has a prefix of its own there, so overlapping patterns cannot collide and it is this table
            // alone that chooses between them.
            let path = format!("/{index}{}", route.path.replace(":int}", "}"));
            router = router.route(&path, route.handlers.clone());
        }
        let fixed = self.routes.iter().enumerate();
        let fixed = fixed
            .filter(|(_, route)| route.is_fixed())
            .map(|(index, route)| (route.path.clone(), index))
            .collect();
        Dispatcher {
            fixed,
            routes: self.routes,
            router,
            socket: self.socket,
            pages,
            public_url,
            detached,
            set_apart: self.set_apart.unwrap_or_default(),
        }
    }
}

/// The table in use: decides who answers a request.
pub(super) struct Dispatcher {
    routes: Vec<Route<()>>,
    /// The places of those whose pattern is one path alone. Such a one is preferred to all others that match it.
    fixed: HashMap<String, usize>,
    router: Router,
    socket: Option<Router>,
    pages: Pages,
    /// What redirects name, where it is set.
    public_url: Option<PublicUrl>,
    detached: DetachedRequests,
    set_apart: SetApart,
}

impl Dispatcher {
    pub(super) async fn dispatch(&self, mut request: Request) -> Response {
        let socket = self.socket.as_ref();
        if let Some(socket) = socket.filter(|_| is_socket_path(request.uri().path())) {
            Observed::note_route(request.extensions(), observed::SOCKETS);
            return infallible(socket.clone().oneshot(request).await);
        }
        let sent = decode(request.uri().path());
        // Slashes doubled at the very start mean nothing.
        let path = if sent.starts_with('/') && !sent.starts_with("//") {
            sent.into_owned()
        } else {
            format!("/{}", sent.trim_start_matches('/'))
        };
        if request
            .method()
            .as_str()
            .bytes()
            .any(|byte| byte.is_ascii_lowercase())
            && let Ok(method) = Method::from_bytes(request.method().as_str().to_ascii_uppercase().as_bytes())
        {
            // The server sends no body for `HEAD` alone: a client that writes it in another way waits for one.
            *request.method_mut() = if method == Method::HEAD {
                Method::GET
            } else {
                method
            };
        }
        let method = request.method().clone();

        if let Some(route) = self.fixed(&path).filter(|route| route.answers(&method)) {
            let client_uri = ClientUri(request.uri().clone());
            request.extensions_mut().insert(client_uri);
            return self.answer(route, route.handlers.clone(), request).await;
        }
        let matching = self.matching(&path);
        if let Some((index, route)) = matching.iter().find(|(_, route)| route.answers(&method)) {
            return match rewritten(request.uri(), &format!("/{index}{path}")) {
                Some(uri) => {
                    let client_uri = std::mem::replace(request.uri_mut(), uri);
                    request.extensions_mut().insert(ClientUri(client_uri));
                    self.answer(route, self.router.clone(), request).await
                }
                None => ErrorPage::Internal.into_response(),
            };
        }
        if matches!(method.as_str(), "GET" | "HEAD") {
            Observed::note_route(request.extensions(), observed::PAGES);
            return self.pages.answer(&path, request.headers()).await;
        }

        // Pairs of slashes, not runs: the legacy collapses `//` from left to right once.
        let collapsed = path.replace("//", "/");
        let collapsed_matching = if collapsed == path {
            Vec::new()
        } else {
            self.matching(&collapsed)
        };
        // OPTIONS is the page route's, which matches the path as it is.
        if method != Method::OPTIONS && collapsed_matching.iter().any(|(_, route)| route.answers(&method)) {
            let query = request.uri().query().filter(|query| !query.is_empty());
            let query = query.map(|query| format!("?{query}"));
            return redirect(&format!(
                "{}{}{}",
                self.origin_for(&request),
                encode(&collapsed, ESCAPED_IN_REDIRECT),
                query.unwrap_or_default()
            ));
        }
        let is_a_page = is_matched_by_page_route(&path);
        let found = matching.iter().chain(&collapsed_matching);
        let mut allowed: BTreeSet<_> = found
            .flat_map(|(_, route)| route.methods.iter().copied())
            .collect();
        if is_a_page {
            allowed.extend(PAGE_METHODS);
        } else if allowed.is_empty() {
            return ErrorPage::NotFound.into_response();
        } else {
            allowed.insert("OPTIONS");
        }
        let allow = allowed.into_iter().collect::<Vec<_>>().join(", ");
        if method == Method::OPTIONS {
            options(&allow)
        } else {
            ErrorPage::MethodNotAllowed(allow).into_response()
        }
    }
}

impl Dispatcher {
    /// Scheme, host and port that a redirect names: those that are set, else those that the client used.
    fn origin_for(&self, request: &Request) -> String {
        if let Some(url) = &self.public_url {
            return url.as_str().to_owned();
        }
        let caller = request.extensions().get::<Caller>().cloned().unwrap_or_default();
        format!("{}://{}", caller.scheme(), caller.host())
    }

    /// The answer of a route's handlers.
    async fn answer<H>(&self, route: &Route<()>, handlers: H, request: Request) -> Response
    where
        H: Service<Request, Response = Response, Error = Infallible> + Send + 'static,
        H::Future: Send,
    {
        Observed::note_route(request.extensions(), &route.path);
        let is_safe = request.method().is_safe();
        let is_long = route.is_long && matches!(*request.method(), Method::GET | Method::HEAD);
        let answering = route.form.write(handlers.oneshot(request));
        let answering = async move { infallible(answering.await) };
        if is_long {
            self.set_apart.answer(answering).await
        } else if is_safe {
            answering.await
        } else {
            self.detached.answer(answering).await
        }
    }

    /// The route whose pattern is this path and nothing else.
    fn fixed(&self, path: &str) -> Option<&Route<()>> {
        self.routes.get(*self.fixed.get(path)?)
    }

    /// The routes whose pattern matches, preferred ones first, with their place in the table.
    fn matching(&self, path: &str) -> Vec<(usize, &Route<()>)> {
        let segments: Vec<_> = path.split('/').collect();
        self.routes
            .iter()
            .enumerate()
            .filter(|(_, route)| route.matches(&segments))
            .collect()
    }
}

/// Whether the legacy's page route, which knows GET, HEAD and OPTIONS, matches a decoded path: a line break matches in the
/// first place alone.
fn is_matched_by_page_route(path: &str) -> bool {
    !path.chars().skip(2).any(|character| character == '\n')
}

/// `uri` with another path, given decoded.
fn rewritten(uri: &Uri, path: &str) -> Option<Uri> {
    let path = encode(path, const { &all_but("/") });
    let path_and_query = match uri.query() {
        Some(query) => format!("{path}?{query}"),
        None => path,
    };
    Uri::try_from(path_and_query).ok()
}

fn infallible(result: Result<Response, Infallible>) -> Response {
    match result {
        Ok(response) => response,
        Err(never) => match never {},
    }
}

#[cfg(test)]
mod tests;
