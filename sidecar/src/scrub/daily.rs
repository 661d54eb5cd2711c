//! What is looked for where calls are signed for AWS: the secret is never sent, but the keys that are made of it for a day sign like it.

use std::sync::{Arc, Mutex};

use super::{Needles, Secrets};

/// The needles of the day on which a call is signed.
pub(crate) struct Daily {
    secrets: Secrets,
    /// The date, and its needles.
    newest: Mutex<Option<(String, Option<Arc<Needles>>)>>,
}

impl Daily {
    /// Of `secrets`, and of what is made of them every day.
    pub(crate) fn new(secrets: Secrets) -> Self {
        Self {
            secrets,
            newest: Mutex::default(),
        }
    }

    /// Those of the newest day on which there was a call, or of the secret alone.
    pub(crate) fn newest(&self) -> Option<Arc<Needles>> {
        let newest = self.newest.lock().expect("no panic while the lock is held");
        match &*newest {
            Some((_, needles)) => needles.clone(),
            None => self.secrets.needles([]),
        }
    }

    /// Those of `date`, whose `keys` are made where nobody asked for that date before.
    pub(crate) fn of<K: AsRef<[u8]>>(
        &self,
        date: &str,
        keys: impl FnOnce() -> Vec<K>,
    ) -> Option<Arc<Needles>> {
        let mut newest = self.newest.lock().expect("no panic while the lock is held");
        match &*newest {
            Some((of, needles)) if of == date => needles.clone(),
            _ => {
                let keys = keys();
                let needles = self.secrets.needles(keys.iter().map(AsRef::as_ref));
                *newest = Some((date.to_owned(), needles.clone()));
                needles
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use postern_crds::{Secret, source::Shape};

    use super::*;

    #[test]
    fn keys_are_made_once_a_day() {
        let spec = serde_json::json!({"serviceAccountNames": ["bot"], "credentials": [{
            "name": "a",
            "http": {"hosts": ["a.example.com"], "inject": {"awsSigV4": {"service": "s3", "region": "r"}}},
            "source": {"secret": {"name": "keys", "key": "a"}},
        }]});
        let spec = serde_json::from_value(spec).unwrap();
        let route = postern_crds::route::compile("agents", "bot", &spec)
            .unwrap()
            .remove(0);
        let keys = r#"{"accessKeyId": "AKIDEXAMPLE", "secretAccessKey": "secret-of-aws"}"#;
        let secret = Secret::new(keys.into());
        let daily = Daily::new(Secrets::of(&route, Shape::AwsKeys, &secret));
        let first = daily.of("20261125", || vec!["key-of-the-day"]).unwrap();
        let again = daily.of("20261125", || -> Vec<&str> { unreachable!("made before") });
        assert!(Arc::ptr_eq(&first, &again.unwrap()));
        let next = daily.of("20261126", || vec!["key-of-the-next"]).unwrap();
        assert!(!Arc::ptr_eq(&first, &next));
        for (needles, text, is_there) in [
            (&first, "key-of-the-day", true),
            (&next, "key-of-the-day", false),
            (&next, "secret-of-aws", true),
        ] {
            assert_eq!(
                needles.scrub(text.as_bytes(), true).found == 1,
                is_there,
                "{text}"
            );
        }
    }
}
