//! Addresses of servers, as they are written.

/// An address of a service without the slash at its end.
pub(super) fn address(text: &str) -> Result<String, (String, String)> {
    let uri: Option<http::Uri> = text.parse().ok();
    let good = uri.is_some_and(|uri| {
        matches!(uri.scheme_str(), Some("http" | "https"))
            && uri.query().is_none()
            && uri
                .authority()
                .is_some_and(|host| !host.as_str().contains('@'))
    });
    if good {
        Ok(text.trim_end_matches('/').to_owned())
    } else {
        let message = "expected an http or https address without user and query";
        Err(("external_url".to_owned(), message.to_owned()))
    }
}
