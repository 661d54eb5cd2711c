//! What AWS's signature is for.

use super::Injection;
use crate::{agent_identity::AwsSigV4Inject, names::is_label, violation::Violation};

pub(super) fn compile(
    at: &str,
    aws: &AwsSigV4Inject,
    host: Option<&str>,
) -> Result<Injection, Vec<Violation>> {
    let mut found = Vec::new();
    if !is_label(&aws.service) {
        found.push(Violation::new(
            format!("{at}.service"),
            "is not the signing name of a service, such as bedrock or s3",
        ));
    }
    let region = match (&aws.region, host) {
        (Some(region), _) => Some(region.as_str()).filter(|region| is_label(region)),
        (None, Some(host)) => region_of(host),
        (None, None) => Some(""),
    };
    if region.is_none() {
        found.push(Violation::new(
            format!("{at}.region"),
            "set it to a region, such as eu-central-1; it may be left out only where the host is one of AWS's that names it",
        ));
    }
    match region {
        Some(region) if found.is_empty() => Ok(Injection::AwsSigV4 {
            service: aws.service.clone(),
            region: region.to_owned(),
        }),
        _ => Err(found),
    }
}

/// The region that one of AWS's own hosts names: `bedrock-runtime.eu-central-1.amazonaws.com`, `s3.dualstack.us-west-2.amazonaws.com`,
/// `lambda.eu-west-1.api.aws`, `vpce-1-2.execute-api.us-gov-west-1.vpce.amazonaws.com`.
/// <https://docs.aws.amazon.com/general/latest/gr/rande.html>
fn region_of(host: &str) -> Option<&str> {
    let labels = [".amazonaws.com", ".amazonaws.com.cn", ".api.aws"]
        .into_iter()
        .find_map(|domain| host.strip_suffix(domain))?;
    let is_region = |label: &&str| {
        let mut parts = label.split('-');
        let is_area = |part: &str| part.len() == 2 && part.bytes().all(|b| b.is_ascii_lowercase());
        let is_number = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
        parts.clone().count() >= 3
            && parts.next().is_some_and(is_area)
            && parts.next_back().is_some_and(is_number)
            && parts.all(|part| !part.is_empty() && part.bytes().all(|b| b.is_ascii_lowercase()))
    };
    labels.rsplit('.').find(is_region)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_of_aws_name_their_region() {
        for (host, region) in [
            (
                "bedrock-runtime.eu-central-1.amazonaws.com",
                Some("eu-central-1"),
            ),
            (
                "bedrock-runtime-fips.us-gov-west-1.amazonaws.com",
                Some("us-gov-west-1"),
            ),
            ("s3.dualstack.us-west-2.amazonaws.com", Some("us-west-2")),
            ("bucket.s3.cn-north-1.amazonaws.com.cn", Some("cn-north-1")),
            ("lambda.eu-west-1.api.aws", Some("eu-west-1")),
            (
                "vpce-0a1-2b3.bedrock-runtime.ap-southeast-2.vpce.amazonaws.com",
                Some("ap-southeast-2"),
            ),
            ("iam.amazonaws.com", None),
            ("s3.amazonaws.com", None),
            ("eu-central-1.example.com", None),
            ("eu-central-1.amazonaws.com.example.com", None),
            ("127.0.0.1", None),
        ] {
            assert_eq!(region_of(host), region, "{host}");
        }
    }
}
