//! What a token says of its bearer, as Fulcio will write it into a certificate (`docs/oid-info.md`).
//!
//! Not verified: it is our own token, and Fulcio verifies it. A wrong guess is found when the certificate comes.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Deserialize;

use super::{Identity, Subject};

#[derive(Deserialize)]
struct Claims {
    iss: String,
    sub: String,
    email: Option<String>,
    job_workflow_ref: Option<String>,
    ci_config_ref_uri: Option<String>,
    #[serde(rename = "kubernetes.io")]
    kubernetes: Option<Kubernetes>,
}

#[derive(Deserialize)]
struct Kubernetes {
    namespace: String,
    serviceaccount: ServiceAccount,
}

#[derive(Deserialize)]
struct ServiceAccount {
    name: String,
}

/// Whom a certificate for this token will name; `None` for what is no token.
pub(crate) fn identity_of(token: &str) -> Option<Identity> {
    let mut parts = token.trim().split('.');
    let (_, payload, _) = (parts.next()?, parts.next()?, parts.next()?);
    let claims: Claims = serde_json::from_slice(&URL_SAFE_NO_PAD.decode(payload).ok()?).ok()?;
    let subject = if let Some(workflow) = claims.job_workflow_ref {
        Subject::Uri(format!("https://github.com/{workflow}"))
    } else if let Some(configuration) = claims.ci_config_ref_uri {
        Subject::Uri(format!("https://{configuration}"))
    } else if let Some(Kubernetes { namespace, serviceaccount }) = claims.kubernetes {
        let account = serviceaccount.name;
        Subject::Uri(format!("https://kubernetes.io/namespaces/{namespace}/serviceaccounts/{account}"))
    } else if let Some(email) = claims.email {
        Subject::Email(email)
    } else {
        Subject::Uri(claims.sub)
    };
    Some(Identity { subject, issuer: claims.iss })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(claims: &str) -> Option<Identity> {
        identity_of(&format!("e30.{}.c2ln", URL_SAFE_NO_PAD.encode(claims)))
    }

    #[test]
    fn each_kind_of_workload_is_named_as_its_certificate_will() {
        let google = r#"{"iss":"https://accounts.google.com","sub":"1","email":"a@p.iam.gserviceaccount.com","email_verified":true}"#;
        assert_eq!(of(google).unwrap().subject, Subject::Email("a@p.iam.gserviceaccount.com".to_owned()));
        let github = r#"{"iss":"https://token.actions.githubusercontent.com","sub":"repo:o/r:ref","job_workflow_ref":"o/r/.github/workflows/w.yml@refs/heads/main"}"#;
        assert_eq!(
            of(github).unwrap().subject,
            Subject::Uri("https://github.com/o/r/.github/workflows/w.yml@refs/heads/main".to_owned())
        );
        let kubernetes = r#"{"iss":"https://k","sub":"system:serviceaccount:n:s","kubernetes.io":{"namespace":"n","serviceaccount":{"name":"s","uid":"u"}}}"#;
        assert_eq!(
            of(kubernetes).unwrap().subject,
            Subject::Uri("https://kubernetes.io/namespaces/n/serviceaccounts/s".to_owned())
        );
        let spiffe = r#"{"iss":"https://s","sub":"spiffe://example.org/tlogistry"}"#;
        assert_eq!(of(spiffe).unwrap().subject, Subject::Uri("spiffe://example.org/tlogistry".to_owned()));
    }

    #[test]
    fn what_is_no_token_names_nobody() {
        for token in ["", "a", "a.b", "a.b.c", "e30.e30.e30"] {
            assert_eq!(identity_of(token), None, "{token}");
        }
    }
}
