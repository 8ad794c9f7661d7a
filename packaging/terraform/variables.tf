variable "project" {
  type        = string
  description = "The Google Cloud project."
}

variable "region" {
  type        = string
  default     = "europe-west1"
  description = "Where the service runs."
}

variable "image" {
  type        = string
  description = "The service's image, by digest: REGISTRY/NAME@sha256:…"

  validation {
    condition     = can(regex("@sha256:[0-9a-f]{64}$", var.image))
    error_message = "Name the image by its digest: a tag may move."
  }
}

variable "public_url" {
  type        = string
  default     = ""
  description = "The URL under which clients reach it, once it is known: https://…"
}
