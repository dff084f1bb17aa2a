//! From a URL to a store: which kind it is, with which options, timeouts and retries.

use crate::error::Problem;
use object_store::aws::AmazonS3Builder;
use object_store::azure::MicrosoftAzureBuilder;
use object_store::gcp::GoogleCloudStorageBuilder;
use object_store::http::HttpBuilder;
use object_store::local::LocalFileSystem;
use object_store::path::Path as Key;
use object_store::{ClientConfigKey, ObjectStore, ObjectStoreScheme, RetryConfig};
use std::time::Duration;
use url::{Position, Url};

/// For one request, a part at most.
const SECONDS: &str = "300 seconds";
/// A request is tried again so often, after 0.1 s at first and longer each time; and so long.
const RETRIES: usize = 5;
const RETRY_TIMEOUT: Duration = Duration::from_secs(60);

/// What kind of store a URL is of. The text says what is wrong with it.
pub(super) fn scheme(url: &Url) -> Result<(ObjectStoreScheme, Key), Problem> {
    let known = "s3://BUCKET/PATH, gs://BUCKET/PATH, az://CONTAINER/PATH, https://HOST/PATH (WebDAV) and \
                 file:///PATH are";
    let found = ObjectStoreScheme::parse(url)
        .map_err(|error| Problem::from(format!("{error}; {known} places for results")))?;
    match found.0 {
        ObjectStoreScheme::Memory => {
            Err(format!("memory:// keeps nothing; {known} places for results").into())
        }
        _ => Ok(found),
    }
}

/// As `object_store::parse_url_opts`, but with timeouts and retries, and of the environment only
/// what is named after the store: `endpoint` or `token` may be anybody's.
pub(super) fn connect(url: &Url, scheme: &ObjectStoreScheme) -> object_store::Result<Box<dyn ObjectStore>> {
    let retry = RetryConfig {
        max_retries: RETRIES,
        retry_timeout: RETRY_TIMEOUT,
        ..RetryConfig::default()
    };
    let text = url.as_str();
    Ok(match scheme {
        ObjectStoreScheme::AmazonS3 => {
            let built = AmazonS3Builder::from_env().with_url(text).with_retry(retry);
            let timeout = object_store::aws::AmazonS3ConfigKey::Client(ClientConfigKey::Timeout);
            Box::new(built.with_config(timeout, SECONDS).build()?)
        }
        ObjectStoreScheme::GoogleCloudStorage => {
            let built = GoogleCloudStorageBuilder::from_env()
                .with_url(text)
                .with_retry(retry);
            let timeout = object_store::gcp::GoogleConfigKey::Client(ClientConfigKey::Timeout);
            Box::new(built.with_config(timeout, SECONDS).build()?)
        }
        ObjectStoreScheme::MicrosoftAzure => {
            let built = MicrosoftAzureBuilder::from_env().with_url(text).with_retry(retry);
            let timeout = object_store::azure::AzureConfigKey::Client(ClientConfigKey::Timeout);
            Box::new(built.with_config(timeout, SECONDS).build()?)
        }
        ObjectStoreScheme::Http => {
            let built = HttpBuilder::new()
                .with_url(&url[..Position::BeforePath])
                .with_retry(retry);
            Box::new(built.with_config(ClientConfigKey::Timeout, SECONDS).build()?)
        }
        // A folder: whole files only, flushed as those of a run directory are.
        _ => Box::new(LocalFileSystem::new().with_fsync(true)),
    })
}
