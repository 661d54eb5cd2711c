//! A claim signed by a service account's key: a JSON Web Token (RFC 7519) with RS256 (RFC 7518 section 3.3).

use aws_lc_rs::{rand::SystemRandom, rsa::KeyPair, signature::RSA_PKCS1_SHA256};
use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use postern_crds::source::GcpKey;
use rustls::pki_types::{PrivatePkcs8KeyDer, pem::PemObject as _};
use serde_json::{Value, json};
use zeroize::Zeroizing;

/// The claims, signed. Whoever holds it may use it as the account until it expires, so it is wiped like a secret. `None` where the key is no RSA
/// key that can sign.
pub(super) fn sign(key: &GcpKey, claims: &Value) -> Option<Zeroizing<String>> {
    let encode = |part: &[u8]| BASE64_URL_SAFE_NO_PAD.encode(part);
    let mut head = json!({"alg": "RS256", "typ": "JWT"});
    if let Some(id) = &key.private_key_id {
        head["kid"] = id.as_str().into();
    }
    let signed = format!(
        "{}.{}",
        encode(head.to_string().as_bytes()),
        encode(claims.to_string().as_bytes())
    );
    // Its bytes are wiped by the type.
    let der = PrivatePkcs8KeyDer::from_pem_slice(key.private_key.trim_start().as_bytes()).ok()?;
    let pair = KeyPair::from_pkcs8(der.secret_pkcs8_der()).ok()?;
    let mut signature = vec![0; pair.public_modulus_len()];
    pair.sign(
        &RSA_PKCS1_SHA256,
        &SystemRandom::new(),
        signed.as_bytes(),
        &mut signature,
    )
    .ok()?;
    Some(Zeroizing::new(format!("{signed}.{}", encode(&signature))))
}

/// When the token expires, in seconds since 1970, as it says itself. Its signature is not looked at: its receiver does that.
pub(super) fn expiry(token: &str) -> Option<u64> {
    let claims = token.split('.').nth(1)?;
    let claims = BASE64_URL_SAFE_NO_PAD.decode(claims).ok()?;
    serde_json::from_slice::<Value>(&claims).ok()?["exp"].as_u64()
}

#[cfg(test)]
mod tests {
    use aws_lc_rs::{
        encoding::AsDer as _,
        rsa::{KeySize, PublicKeyComponents},
        signature::{KeyPair as _, RSA_PKCS1_2048_8192_SHA256},
    };

    use super::*;

    #[test]
    fn a_claim_is_signed_by_the_key_and_says_when_it_ends() {
        let pair = KeyPair::generate(KeySize::Rsa2048).unwrap();
        let der: aws_lc_rs::encoding::Pkcs8V1Der<'_> = pair.as_der().unwrap();
        let pem = pem_of(der.as_ref());
        let document = json!({"type": "service_account", "client_email": "bot@p", "private_key_id": "k1", "private_key": pem});
        let key = GcpKey::read(document.to_string().as_bytes()).ok().unwrap();
        let token = sign(&key, &json!({"iss": "bot@p", "exp": 4600})).unwrap();
        assert_eq!(expiry(&token), Some(4600));

        let (signed, signature) = token.rsplit_once('.').unwrap();
        let head = signed.split('.').next().unwrap();
        let head: Value =
            serde_json::from_slice(&BASE64_URL_SAFE_NO_PAD.decode(head).unwrap()).unwrap();
        assert_eq!(head, json!({"alg": "RS256", "typ": "JWT", "kid": "k1"}));
        let public = PublicKeyComponents {
            n: pair
                .public_key()
                .modulus()
                .big_endian_without_leading_zero(),
            e: pair
                .public_key()
                .exponent()
                .big_endian_without_leading_zero(),
        };
        let signature = BASE64_URL_SAFE_NO_PAD.decode(signature).unwrap();
        assert!(
            public
                .verify(&RSA_PKCS1_2048_8192_SHA256, signed.as_bytes(), &signature)
                .is_ok()
        );
    }

    #[test]
    fn a_key_that_is_none_signs_nothing() {
        let document = json!({"type": "service_account", "client_email": "bot@p", "private_key": pem_of(b"x")});
        let key = GcpKey::read(document.to_string().as_bytes()).ok().unwrap();
        assert!(sign(&key, &json!({})).is_none());
    }

    #[test]
    fn what_is_no_token_has_no_expiry() {
        for token in ["", "a.b.c", "ya29.opaque", "e30.e30.x"] {
            assert_eq!(expiry(token), None, "{token}");
        }
    }

    fn pem_of(der: &[u8]) -> String {
        let encoded = base64::prelude::BASE64_STANDARD.encode(der);
        format!("-----BEGIN PRIVATE KEY-----\n{encoded}\n-----END PRIVATE KEY-----\n")
    }
}
