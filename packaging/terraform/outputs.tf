output "url" {
  value       = google_cloud_run_v2_service.tlogistry.uri
  description = "Set it as public_url, and apply again."
}

output "identity" {
  value       = google_service_account.tlogistry.email
  description = "Whom certificates name: --certificate-identity."
}
