package main_test

import (
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"net/http/httptest"
	"testing"

	"stanch/dispositions/ibmfake"
	"stanch/receiver/leak"
)

func TestDoctorWeb(t *testing.T) {
	t.Parallel()
	s := newSite(t, ibmfake.Switches{}, "")
	s.write("users.yaml", "basic_auth_users: {ops: $2y$10$QOauhQNbBCuQDKes6eFzPeMqBSjb7Mr5DUmpZ/VcEd00UAV/LDeSi}\n")
	address := func(a string) string { return fmt.Sprintf("address: %q", a) }
	s.edit(address(s.private), address("0.0.0.0:9095"))
	s.edit(address(s.public), address(":8080"))
	d := s.doctor(t)
	d.wantOnly(leak.Broken, "web")
	d.want("web", "private listener", leak.Broken, "sign-in")
	d.want("web", "public listener", leak.Doubt, "no TLS")
	s.edit(address("0.0.0.0:9095"), address("0.0.0.0:9095")+", config_file: users.yaml")
	d = s.doctor(t)
	d.wantOnly(leak.Broken)
	d.want("web", "private listener", leak.Doubt, "passwords travel in clear")
	s.edit(address(":8080"), address(":8080")+", config_file: users.yaml")
	s.doctor(t).want("web", "public listener", leak.Broken, "every delivery is refused")
	s.edit("notifiers:\n  - {name: console, type: console}\n", "")
	s.doctor(t).want("notifiers", "notifiers", leak.Doubt, "nobody is told")
}

// TestDoctorWebTLS gives both listeners a certificate, and the private one a sign-in by certificate then.
func TestDoctorWebTLS(t *testing.T) {
	t.Parallel()
	s := newSite(t, ibmfake.Switches{}, "")
	s.writeCertificate()
	s.write("tls.yaml", "tls_server_config: {cert_file: cert.pem, key_file: key.pem}\n")
	s.write("ask.yaml", "tls_server_config: {cert_file: cert.pem, key_file: key.pem, client_auth_type: RequestClientCert}\n")
	s.write("both.yaml", "tls_server_config: {cert_file: cert.pem, key_file: key.pem, client_ca_file: cert.pem, "+
		"client_auth_type: RequireAndVerifyClientCert}\n")
	s.edit(fmt.Sprintf("address: %q", s.private), `address: "localhost:9095"`)
	s.edit(fmt.Sprintf("address: %q", s.public), `address: ":8080", config_file: tls.yaml`)
	d := s.doctor(t)
	d.wantOnly(leak.Broken)
	d.want("web", "public listener", leak.Good, "with TLS")
	d.want("web", "private listener", leak.Good, "only this machine")
	s.edit(`"localhost:9095"`, `"stanch.example:9095", config_file: ask.yaml`)
	s.doctor(t).want("web", "private listener", leak.Broken, "sign-in")
	s.edit("ask.yaml", "both.yaml")
	s.doctor(t).want("web", "private listener", leak.Good, "TLS and a sign-in")
}

func (s *site) writeCertificate() {
	s.t.Helper()
	server := httptest.NewTLSServer(nil)
	server.Close()
	key, err := x509.MarshalPKCS8PrivateKey(server.TLS.Certificates[0].PrivateKey)
	if err != nil {
		s.t.Fatal(err)
	}
	s.write("cert.pem", string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw})))
	s.write("key.pem", string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: key})))
}
