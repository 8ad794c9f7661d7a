# tlogistry on Cloud Run, without a disk: records are kept in Rekor, under the identity of this service account.

resource "google_project_service" "run" {
  service            = "run.googleapis.com"
  disable_on_destroy = false
}

# Nothing is granted to it: it only names the service in certificates.
resource "google_service_account" "tlogistry" {
  account_id   = "tlogistry"
  display_name = "Signs the records of tlogistry"
}

resource "google_cloud_run_v2_service" "tlogistry" {
  name                = "tlogistry"
  location            = var.region
  ingress             = "INGRESS_TRAFFIC_ALL"
  deletion_protection = false
  depends_on          = [google_project_service.run]

  template {
    service_account                  = google_service_account.tlogistry.email
    max_instance_request_concurrency = 80
    timeout                          = "300s"

    # Two instances without a disk could record two digests of one tag.
    scaling {
      min_instance_count = 0
      max_instance_count = 1
    }

    containers {
      image = var.image

      env {
        name  = "TLOGISTRY_DATA_DIR"
        value = "ephemeral"
      }
      env {
        name  = "TLOGISTRY_SIGSTORE_MODE"
        value = "per-tag"
      }
      env {
        name  = "TLOGISTRY_SIGSTORE_STORE_ATTESTATION"
        value = "true"
      }
      env {
        name  = "TLOGISTRY_SIGSTORE_IDENTITY"
        value = google_service_account.tlogistry.email
      }
      env {
        name  = "TLOGISTRY_SIGSTORE_ISSUER"
        value = "https://accounts.google.com"
      }
      # Google's front end, as the container sees it; without, all clients share one budget.
      env {
        name  = "TLOGISTRY_TRUSTED_PROXIES"
        value = "169.254.0.0/16"
      }
      dynamic "env" {
        for_each = var.public_url == "" ? [] : [var.public_url]
        content {
          name  = "TLOGISTRY_PUBLIC_URL"
          value = env.value
        }
      }

      resources {
        limits = {
          cpu    = "1"
          memory = "512Mi"
        }
        # A record that was begun is finished although the client has gone.
        cpu_idle = false
      }

      startup_probe {
        http_get {
          path = "/livez"
        }
      }
      liveness_probe {
        http_get {
          path = "/livez"
        }
      }
    }
  }
}

resource "google_cloud_run_v2_service_iam_member" "everybody" {
  name     = google_cloud_run_v2_service.tlogistry.name
  location = google_cloud_run_v2_service.tlogistry.location
  role     = "roles/run.invoker"
  member   = "allUsers"
}
