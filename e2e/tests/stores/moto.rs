//! moto as AWS on this machine's loopback, with a certificate of an authority of its own.

use std::{
    fs,
    io::{BufRead as _, BufReader, Write as _},
    path::Path,
    process::{Child, ChildStdin, ChildStdout, Command, Stdio},
    sync::Mutex,
};

use anyhow::{Context as _, Result, ensure};
use postern_e2e::{
    Cache, image,
    pki::{Authority, Subject},
};
use serde_json::{Value, json};
use tempfile::TempDir;

/// A running moto. It ends when dropped.
pub(crate) struct Moto {
    child: Child,
    pipes: Mutex<(ChildStdin, BufReader<ChildStdout>)>,
    port: u64,
    /// Whom to trust for its certificate.
    pub(crate) authority: String,
    _folder: TempDir,
}

impl Moto {
    pub(crate) fn start() -> Result<Self> {
        let tests = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests");
        let why = "botocore, moto and google-auth";
        let requirements = tests.join("sign/requirements.txt");
        let packages = image::parts::python(&Cache::open()?, "signers", why, &requirements)?;

        let authority = Authority::new("aws")?;
        let identity = authority.issue(&Subject {
            name: "aws",
            group: None,
            hosts: &["127.0.0.1"],
        })?;
        let folder = tempfile::tempdir()?;
        let (certificate, key) = (folder.path().join("tls.crt"), folder.path().join("tls.key"));
        fs::write(&certificate, &identity.certificate)?;
        fs::write(&key, &identity.key)?;
        let mut child = Command::new("python3")
            .arg(tests.join("stores/aws_by_moto.py"))
            .args([certificate, key])
            .env("PYTHONPATH", packages.path)
            // botocore looks here for what a person has set up.
            .env("AWS_EC2_METADATA_DISABLED", "true")
            .env("AWS_CONFIG_FILE", "/nowhere")
            .env("AWS_SHARED_CREDENTIALS_FILE", "/nowhere")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            // moto tells a trace of whatever it does not know, as a request without a service.
            .stderr(fs::File::create(folder.path().join("log"))?)
            .spawn()
            .context("starting moto")?;
        let input = child.stdin.take().context("a piped input")?;
        let mut output = BufReader::new(child.stdout.take().context("a piped output")?);
        let said = read(&mut output).or_else(|_| {
            let log = fs::read_to_string(folder.path().join("log"))?;
            anyhow::bail!("it did not start: {log}")
        })?;
        let port = said["port"].as_u64().context("a port")?;
        Ok(Self {
            child,
            pipes: Mutex::new((input, output)),
            port,
            authority: authority.certificate(),
            _folder: folder,
        })
    }

    pub(crate) fn address(&self) -> String {
        format!("https://127.0.0.1:{}", self.port)
    }

    /// Has boto3 do `call` of `service` as a user who may do everything.
    pub(crate) fn call(&self, service: &str, call: &str, with: &Value) -> Result<Value> {
        let mut pipes = self.pipes.lock().unwrap();
        let (input, output) = &mut *pipes;
        writeln!(
            input,
            "{}",
            json!({ "service": service, "call": call, "with": with })
        )?;
        let answer = read(output)?;
        ensure!(answer["error"].is_null(), "{call}: {answer}");
        Ok(answer)
    }

    /// Makes `text` the newest value of the secret `name`.
    pub(crate) fn put(&self, name: &str, text: &str) -> Result<()> {
        let with = json!({ "SecretId": name, "SecretString": text });
        self.call("secretsmanager", "put_secret_value", &with)
            .map(drop)
    }

    /// Makes a secret, and returns its ARN.
    pub(crate) fn create(&self, name: &str, text: &str) -> Result<String> {
        let with = json!({ "Name": name, "SecretString": text });
        let made = self.call("secretsmanager", "create_secret", &with)?;
        Ok(made["ARN"].as_str().context("an ARN")?.to_owned())
    }

    /// Makes a user who may do `actions`, and returns the keys.
    pub(crate) fn user(&self, name: &str, actions: &[&str]) -> Result<(String, String)> {
        self.call("iam", "create_user", &json!({ "UserName": name }))?;
        self.allow_user(name, actions)?;
        let made = self.call("iam", "create_access_key", &json!({ "UserName": name }))?;
        let text = |member: &str| -> Result<String> {
            let text = made["AccessKey"][member].as_str();
            Ok(text.context("a key")?.to_owned())
        };
        Ok((text("AccessKeyId")?, text("SecretAccessKey")?))
    }

    /// Makes `actions` all that a user may do.
    pub(crate) fn allow_user(&self, name: &str, actions: &[&str]) -> Result<()> {
        let with =
            json!({ "UserName": name, "PolicyName": "own", "PolicyDocument": rights(actions) });
        self.call("iam", "put_user_policy", &with).map(drop)
    }

    /// Makes a role that may do `actions` for whom `trust` names, and returns its ARN.
    pub(crate) fn role(&self, name: &str, trust: &Value, actions: &[&str]) -> Result<String> {
        let trust = json!({ "Version": "2012-10-17", "Statement": [trust] }).to_string();
        let with = json!({ "RoleName": name, "AssumeRolePolicyDocument": trust });
        let made = self.call("iam", "create_role", &with)?;
        let with =
            json!({ "RoleName": name, "PolicyName": "own", "PolicyDocument": rights(actions) });
        self.call("iam", "put_role_policy", &with)?;
        Ok(made["Role"]["Arn"].as_str().context("an ARN")?.to_owned())
    }
}

impl Drop for Moto {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn rights(actions: &[&str]) -> String {
    let statement = json!({ "Effect": "Allow", "Action": actions, "Resource": "*" });
    json!({ "Version": "2012-10-17", "Statement": [statement] }).to_string()
}

fn read(output: &mut BufReader<ChildStdout>) -> Result<Value> {
    let mut line = String::new();
    output.read_line(&mut line)?;
    serde_json::from_str(&line).context("moto ended")
}
