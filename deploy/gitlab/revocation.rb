# Tells a self-managed GitLab to send the tokens that its secret detection finds to stanch, at once and again until stanch
# has them. Give the address and the file, and run it on the GitLab server:
#
#   sudo gitlab-rails runner /path/to/revocation.rb
#
# The file holds what token_files of the source hold, and the user git must be able to read it.
source = "https://stanch.example.org/hooks/gl"
token_file = "/etc/gitlab/stanch-revocation-token"

::Gitlab::CurrentSettings.update!(
  secret_detection_token_revocation_token: File.read(token_file).strip,
  secret_detection_revocation_token_types_url: "#{source}/v1/revocable_token_types",
  secret_detection_token_revocation_url: "#{source}/v1/revoke_tokens",
  secret_detection_token_revocation_enabled: true
)
