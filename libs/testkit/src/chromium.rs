//! Debian's Chromium without a screen, driven as a person would by the WebDriver protocol (W3C).

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context as _, ensure};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use crate::{TempDir, eventually};

/// How long something may take to appear on a page.
const APPEARS: Duration = Duration::from_secs(15);
/// The member of the answers that names an element, W3C WebDriver section 12.
const ELEMENT: &str = "element-6066-11e4-a52e-4f735466cecf";

/// A window of a browser of its own, with an empty profile; it ends when it is dropped.
#[derive(Debug)]
pub struct Browser {
    driver: Child,
    port: u16,
    session: String,
    client: reqwest::Client,
    _profile: TempDir,
}

/// Something on the page.
#[derive(Debug, Clone)]
pub struct Element(String);

/// Keys that are no characters, W3C WebDriver section 17.4.2.
#[derive(Debug, Clone, Copy)]
pub enum Key {
    /// Tabulator.
    Tab,
    /// Enter.
    Enter,
    /// Escape.
    Escape,
    /// Arrow down.
    Down,
    /// The space bar.
    Space,
}

impl Key {
    fn text(self) -> &'static str {
        match self {
            Self::Tab => "\u{e004}",
            Self::Enter => "\u{e007}",
            Self::Escape => "\u{e00c}",
            Self::Down => "\u{e015}",
            Self::Space => " ",
        }
    }
}

/// A driver and its port; nothing where it ended at once.
fn driver() -> anyhow::Result<Option<(Child, u16)>> {
    let mut driver = Command::new("chromedriver")
        .arg("--port=0")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .context("chromedriver cannot be started (Debian package chromium-driver)")?;
    let mut lines = BufReader::new(driver.stdout.take().context("no output")?).lines();
    // The line is among its first; without it the driver has ended, and so have the lines.
    let port = lines.by_ref().map_while(Result::ok).find_map(|line| {
        let rest = line.split_once("started successfully on port ")?.1;
        rest.trim_end_matches('.').parse().ok()
    });
    if port.is_none() {
        driver.wait()?;
    }
    std::thread::spawn(move || lines.map_while(Result::ok).count());
    Ok(port.map(|port| (driver, port)))
}

impl Browser {
    /// Why there can be no browser here; `None` where there can.
    #[must_use]
    pub fn missing() -> Option<String> {
        let there = |program: &str| {
            let path = std::env::var_os("PATH").unwrap_or_default();
            std::env::split_paths(&path).any(|folder| folder.join(program).is_file())
        };
        ["chromium", "chromedriver"]
            .into_iter()
            .find(|program| !there(program))
            .map(|program| {
                format!("no {program} on PATH (Debian packages chromium and chromium-driver)")
            })
    }

    /// Opens a window of this size.
    ///
    /// # Errors
    /// The driver or the browser cannot be started.
    pub async fn start(width: u32, height: u32) -> anyhow::Result<Self> {
        let profile = TempDir::new()?;
        // It looks for a port itself and ends where another program is quicker.
        let (driver, port) = (0..5)
            .find_map(|_| driver().transpose())
            .context("chromedriver did not say its port, five times")??;
        let mut browser = Self {
            driver,
            port,
            session: String::new(),
            client: crate::client(),
            _profile: profile,
        };
        let size = format!("--window-size={width},{height}");
        let data = format!("--user-data-dir={}", browser._profile.path().display());
        let args = [
            "--headless=new",
            // Chromium's own sandbox does not start for root, which CI is.
            "--no-sandbox",
            "--disable-gpu",
            "--disable-dev-shm-usage",
            "--disable-quic",
            "--no-first-run",
            "--disable-background-networking",
            "--disable-component-update",
            "--disable-sync",
            "--no-proxy-server",
            "--force-device-scale-factor=1",
            // What fades in is seen, and judged, as it will be.
            "--force-prefers-reduced-motion",
            "--lang=en-US",
            &size,
            &data,
        ];
        let wanted = json!({"capabilities": {"alwaysMatch": {
            "browserName": "chrome",
            "goog:chromeOptions": {"binary": "/usr/bin/chromium", "args": args},
            "goog:loggingPrefs": {"browser": "ALL"},
        }}});
        let made = browser.call("POST", "session", Some(&wanted)).await?;
        let session = made["sessionId"].as_str().context("no session")?;
        browser.session = session.to_owned();
        Ok(browser)
    }

    async fn call(&self, method: &str, path: &str, body: Option<&Value>) -> anyhow::Result<Value> {
        let url = if self.session.is_empty() {
            format!("http://127.0.0.1:{}/{path}", self.port)
        } else {
            format!(
                "http://127.0.0.1:{}/session/{}/{path}",
                self.port, self.session
            )
        };
        let mut request = self.client.request(method.parse()?, url);
        if let Some(body) = body {
            request = request
                .header("content-type", "application/json")
                .body(body.to_string());
        }
        let answer = request.send().await?;
        let fine = answer.status().is_success();
        let mut body: Value = serde_json::from_slice(&answer.bytes().await?)?;
        let value = body["value"].take();
        let message = value["message"].as_str().unwrap_or_default();
        ensure!(
            fine,
            "{path}: {}",
            message.lines().next().unwrap_or_default()
        );
        Ok(value)
    }

    /// Opens an address and waits until the document is loaded.
    ///
    /// # Errors
    /// The browser cannot.
    pub async fn open(&self, url: &str) -> anyhow::Result<()> {
        self.call("POST", "url", Some(&json!({"url": url}))).await?;
        Ok(())
    }

    /// The address that is shown.
    ///
    /// # Errors
    /// The browser does not answer.
    pub async fn url(&self) -> anyhow::Result<String> {
        let url = self.call("GET", "url", None).await?;
        Ok(url.as_str().unwrap_or_default().to_owned())
    }

    /// Gives the browser a cookie, `name=value`, of the site that is open.
    ///
    /// # Errors
    /// The browser refuses it.
    pub async fn cookie(&self, pair: &str) -> anyhow::Result<()> {
        let (name, value) = pair.split_once('=').context("expected name=value")?;
        let cookie =
            json!({"cookie": {"name": name, "value": value, "path": "/", "httpOnly": true}});
        self.call("POST", "cookie", Some(&cookie)).await?;
        Ok(())
    }

    /// Forgets every cookie.
    ///
    /// # Errors
    /// The browser does not answer.
    pub async fn forget(&self) -> anyhow::Result<()> {
        self.call("DELETE", "cookie", None).await?;
        Ok(())
    }

    /// What fits the XPath now.
    ///
    /// # Errors
    /// It is no XPath.
    pub async fn all(&self, xpath: &str) -> anyhow::Result<Vec<Element>> {
        let how = json!({"using": "xpath", "value": xpath});
        let found = self.call("POST", "elements", Some(&how)).await?;
        let ids = found.as_array().into_iter().flatten();
        Ok(ids
            .filter_map(|id| Some(Element(id[ELEMENT].as_str()?.to_owned())))
            .collect())
    }

    /// The first that fits the XPath, once there is one.
    ///
    /// # Errors
    /// None appeared; the text tells what the page shows.
    pub async fn find(&self, xpath: &str) -> anyhow::Result<Element> {
        let found = eventually(APPEARS, || async {
            let all = self.all(xpath).await?;
            all.into_iter()
                .next()
                .with_context(|| format!("nothing fits {xpath}"))
        })
        .await;
        match found {
            Ok(element) => Ok(element),
            Err(error) => {
                let page = self.text().await.unwrap_or_default();
                let console = self.console().await.unwrap_or_default();
                Err(error.context(format!("the page says:\n{page}\nconsole: {console:#?}")))
            }
        }
    }

    /// Waits until nothing fits the XPath any more.
    ///
    /// # Errors
    /// Something still does.
    pub async fn gone(&self, xpath: &str) -> anyhow::Result<()> {
        eventually(APPEARS, || async {
            ensure!(self.all(xpath).await?.is_empty(), "{xpath} is still there");
            Ok(())
        })
        .await
    }

    /// Waits until the page shows a text.
    ///
    /// # Errors
    /// It does not.
    pub async fn says(&self, text: &str) -> anyhow::Result<Element> {
        ensure!(!text.contains('"'), "{text}: expected no quotes");
        let innermost = format!(
            "//body//*[contains(normalize-space(.), \"{text}\") and not(self::script) \
             and not(./*[contains(normalize-space(.), \"{text}\")])]"
        );
        self.find(&innermost).await
    }

    /// Waits for a button, or a link, of this name and presses it.
    ///
    /// # Errors
    /// There is none, or it cannot be pressed.
    pub async fn press(&self, name: &str) -> anyhow::Result<()> {
        let xpath = format!(
            "//*[(self::button or self::a) and (normalize-space(.)=\"{name}\" or @aria-label=\"{name}\")]"
        );
        self.click(&self.find(&xpath).await?).await
    }

    /// Presses something.
    ///
    /// # Errors
    /// It is covered, or gone.
    pub async fn click(&self, element: &Element) -> anyhow::Result<()> {
        let path = format!("element/{}/click", element.0);
        self.call("POST", &path, Some(&json!({}))).await?;
        Ok(())
    }

    /// Types into a field, after what is in it.
    ///
    /// # Errors
    /// It takes no text.
    pub async fn type_into(&self, element: &Element, text: &str) -> anyhow::Result<()> {
        let path = format!("element/{}/value", element.0);
        self.call("POST", &path, Some(&json!({"text": text})))
            .await?;
        Ok(())
    }

    /// Fills the field with this id, in the place of what was in it.
    ///
    /// # Errors
    /// There is none, or it takes no text.
    pub async fn fill(&self, id: &str, text: &str) -> anyhow::Result<()> {
        let field = self.find(&format!("//*[@id=\"{id}\"]")).await?;
        let path = format!("element/{}/clear", field.0);
        self.call("POST", &path, Some(&json!({}))).await?;
        self.type_into(&field, text).await
    }

    /// Presses a key where the focus is.
    ///
    /// # Errors
    /// The browser does not answer.
    pub async fn key(&self, key: Key) -> anyhow::Result<()> {
        self.keys(key.text()).await
    }

    /// Types where the focus is.
    ///
    /// # Errors
    /// The browser does not answer.
    pub async fn keys(&self, text: &str) -> anyhow::Result<()> {
        let strokes: Vec<Value> = text
            .chars()
            .flat_map(|key| {
                let key = key.to_string();
                [
                    json!({"type": "keyDown", "value": key}),
                    json!({"type": "keyUp", "value": key}),
                ]
            })
            .collect();
        let actions = json!({"actions": [{"type": "key", "id": "keyboard", "actions": strokes}]});
        self.call("POST", "actions", Some(&actions)).await?;
        Ok(())
    }

    /// Moves the mouse away from everything that lights up under it.
    ///
    /// # Errors
    /// The browser does not answer.
    pub async fn away(&self) -> anyhow::Result<()> {
        let corner = json!({"type": "pointerMove", "duration": 0, "x": 0, "y": 0});
        let actions = json!({"actions": [{"type": "pointer", "id": "mouse", "actions": [corner]}]});
        self.call("POST", "actions", Some(&actions)).await?;
        Ok(())
    }

    /// The text that a person sees of something.
    ///
    /// # Errors
    /// It is gone.
    pub async fn text_of(&self, element: &Element) -> anyhow::Result<String> {
        let text = self
            .call("GET", &format!("element/{}/text", element.0), None)
            .await?;
        Ok(text.as_str().unwrap_or_default().to_owned())
    }

    /// The text of the whole page.
    ///
    /// # Errors
    /// The browser does not answer.
    pub async fn text(&self) -> anyhow::Result<String> {
        let text = self.run("return document.body.innerText", &[]).await?;
        Ok(text.as_str().unwrap_or_default().to_owned())
    }

    /// Runs the body of a function on the page and returns what it returns.
    ///
    /// # Errors
    /// It throws.
    pub async fn run(&self, script: &str, args: &[Value]) -> anyhow::Result<Value> {
        let body = json!({"script": script, "args": args});
        self.call("POST", "execute/sync", Some(&body)).await
    }

    /// As [`Browser::run`], for a promise.
    ///
    /// # Errors
    /// It is rejected, or takes longer than half a minute.
    pub async fn promise(&self, script: &str) -> anyhow::Result<Value> {
        let script = format!(
            "const done = arguments[arguments.length - 1]; (async () => {{ {script} }})()\
             .then((value) => done({{value}}), (error) => done({{error: String(error)}}));"
        );
        let body = json!({"script": script, "args": []});
        let mut answer = self.call("POST", "execute/async", Some(&body)).await?;
        ensure!(answer["error"].is_null(), "{}", answer["error"]);
        Ok(answer["value"].take())
    }

    /// What axe-core finds wrong for people who use a keyboard or a screen reader: `rule: element`, one a line. The colours of what the
    /// mouse is on, or what has the focus, are not judged: a moment of them is a theme's own.
    ///
    /// # Errors
    /// axe cannot be read from `source`, or does not run.
    pub async fn axe(&self, source: &Path) -> anyhow::Result<Vec<String>> {
        let text = std::fs::read_to_string(source).with_context(|| source.display().to_string())?;
        self.run(&format!("{text}\n;return typeof axe"), &[])
            .await?;
        let found = self
            .promise(
                "const {violations} = await axe.run(document, {resultTypes: ['violations']}); \
                 const moment = ({target}) => document.querySelector(target[0])?.closest('button:hover, button:focus, a:hover'); \
                 return violations.flatMap(({id, impact, nodes}) => \
                 nodes.filter((node) => id !== 'color-contrast' || !moment(node)).map(({target, html}) => `${id} (${impact}): ${target} ${html.slice(0, 200)}`));",
            )
            .await?;
        let lines = found.as_array().context("axe did not answer a list")?;
        Ok(lines
            .iter()
            .filter_map(|line| line.as_str().map(str::to_owned))
            .collect())
    }

    /// Shows the page as on a screen of this size, a phone's too, which no window is as narrow as; 0 by 0 as the window is.
    ///
    /// # Errors
    /// The browser does not answer.
    pub async fn sized(&self, width: u32, height: u32) -> anyhow::Result<()> {
        let metrics =
            json!({"width": width, "height": height, "deviceScaleFactor": 1, "mobile": false});
        let command = json!({"cmd": "Emulation.setDeviceMetricsOverride", "params": metrics});
        self.call("POST", "goog/cdp/execute", Some(&command))
            .await?;
        Ok(())
    }

    /// A picture of the window, as PNG.
    ///
    /// # Errors
    /// It cannot be taken or written.
    pub async fn picture(&self, to: &Path) -> anyhow::Result<()> {
        let picture = self.call("GET", "screenshot", None).await?;
        let bytes = STANDARD.decode(picture.as_str().unwrap_or_default())?;
        if let Some(folder) = to.parent() {
            std::fs::create_dir_all(folder)?;
        }
        std::fs::write(to, bytes).with_context(|| to.display().to_string())
    }

    /// Errors and warnings that the console got since the last look.
    ///
    /// # Errors
    /// The driver does not keep them.
    pub async fn console(&self) -> anyhow::Result<Vec<String>> {
        let kept = self
            .call("POST", "se/log", Some(&json!({"type": "browser"})))
            .await?;
        let entries = kept.as_array().into_iter().flatten();
        Ok(entries
            .filter(|entry| entry["level"] == "SEVERE" || entry["level"] == "WARNING")
            .filter_map(|entry| entry["message"].as_str().map(str::to_owned))
            .collect())
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        // The driver ends the browser with the session; killed alone, it would leave it behind.
        if !self.session.is_empty()
            && let Ok(mut stream) = TcpStream::connect(("127.0.0.1", self.port))
        {
            let _ = stream.set_read_timeout(Some(Duration::from_secs(10)));
            let asked = format!(
                "DELETE /session/{} HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n",
                self.session
            );
            let _ = stream.write_all(asked.as_bytes());
            let _ = stream.read(&mut [0; 512]);
        }
        let _ = self.driver.kill();
        let _ = self.driver.wait();
    }
}
