package compose

import (
	"fmt"
	"regexp"
	"strings"

	"stanch/receiver/leak"
)

// clusterName is what IBM Cloud Kubernetes Service calls the service ID with which a cluster pulls images, and the API
// keys that it makes for it: cluster-ID.
var clusterName = regexp.MustCompile(`^cluster-([a-z0-9]{8,40})$`)

// regionKey is the name of the API key that Kubernetes Service runs the clusters of a region and resource group on.
const regionKey = "containers-kubernetes-key"

// ibmKeyID is the form of the ids of IBM Cloud's API keys.
var ibmKeyID = regexp.MustCompile(`^ApiKey-[0-9a-fA-F-]{36}$`)

// repair tells, step by step, what whoever runs on the key has to do; empty when nothing is known that is not said
// already.
func (s story) repair() string {
	byPerson := s.news == leak.Ended || s.news == leak.Undone || s.undoFailed()
	if !ibmKeyID.MatchString(s.Key.ID) || byPerson || s.Rule == "accounts" {
		return ""
	}
	if id := s.cluster(); id != "" {
		return s.repairPullSecret(id)
	}
	if id := s.serviceCredential(); id != "" {
		return s.repairCredential(id)
	}
	switch {
	case s.Key.Name == regionKey:
		return repairRegion
	case s.Key.Kind == "user":
		return s.nextUserKey()
	case s.Key.Kind == "service_id":
		return s.nextServiceKey()
	}
	return ""
}

// cluster is the id of the cluster that pulls images with the key; empty: none does.
func (s story) cluster() string {
	for _, name := range []string{s.Key.OwnerName, s.Key.Name} {
		if found := clusterName.FindStringSubmatch(name); found != nil {
			return found[1]
		}
	}
	return ""
}

// generatedName is what the API key of a service credential is called, with the credential's id.
var generatedName = regexp.MustCompile(`^auto-generated-apikey-([0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12})$`)

// serviceCredential is the id of the service credential that the key was made for; empty: it was made for none.
func (s story) serviceCredential() string {
	found := generatedName.FindStringSubmatch(s.Key.Name)
	if found == nil || !ibmKeyID.MatchString(s.Key.ID) {
		return ""
	}
	return found[1]
}

// repairCredential is what to do about a leaked key of a service credential. The id is of plain characters.
func (s story) repairCredential(id string) string {
	return fmt.Sprintf("The key was made for the service credential %[1]s: whatever is bound to that loses its service when the key dies. "+
		"1. See what it is of: `ibmcloud resource service-key %[1]s`. "+
		"2. Make a new credential there: `ibmcloud resource service-key-create NAME ROLE --instance-id INSTANCE`, and bind the "+
		"applications to it again, so that they get its content. "+
		"3. Delete the old one if it is still there: `ibmcloud resource service-key-delete %[1]s`.", id)
}

// repairPullSecret is IBM's runbook for a leaked key of a cluster's service ID. The id is of plain characters.
func (s story) repairPullSecret(id string) string {
	remove := "1. The key is deleted, as it must be. "
	if !s.gone() {
		remove = fmt.Sprintf("1. The key is not deleted, and must be before a new one is made: "+
			"`ibmcloud iam service-api-key-delete %s cluster-%s`. ", s.Key.ID, id)
	}
	return fmt.Sprintf("Cluster %[1]s pulls its images with this key. %[2]s"+
		"2. Note which IAM policies of its service ID were customised, because the next step resets them: "+
		"`ibmcloud iam service-policies cluster-%[1]s`. "+
		"3. Make a new key and secret, as an Administrator of Container Registry: "+
		"`ibmcloud ks cluster pull-secret apply --cluster %[1]s`. "+
		"4. Wait some minutes until the secret is new: `kubectl get secret all-icr-io --namespace default`. "+
		"5. Set the customised policies again, and copy the secret to other namespaces that use it.", id, remove)
}

// repairRegion is IBM's runbook for the key that the clusters of a region run on.
const repairRegion = "The clusters of a region and resource group run on this key: without it workers, volumes and load balancers " +
	"cannot be ordered. 1. Sign in as who the clusters shall run as, best a functional ID, because the next key is that identity's, and " +
	"target the resource group: `ibmcloud target -g GROUP`. " +
	"2. Make a new key for all clusters there: `ibmcloud ks api-key reset --region REGION`. " +
	"3. Where the add-ons for block storage or autoscaling are in use, re-create the pods that still hold the old key: " +
	"`kubectl delete pod --namespace kube-system POD` for those whose names begin with ibm-vpc-block-csi-controller and " +
	"cluster-autoscaler. " +
	"4. Delete the old key if it is still there."

func (s story) nextUserKey() string {
	return fmt.Sprintf("Only its owner can make the next one: `ibmcloud iam api-key-create %s --action-if-leaked DISABLE --file key.json`. %s",
		nextName(s.Key.Name), putAway)
}

func (s story) nextServiceKey() string {
	return fmt.Sprintf("Make the next one: `ibmcloud iam service-api-key-create %s %s --action-if-leaked DISABLE --file key.json`. %s",
		nextName(s.Key.Name), argument(strings.TrimPrefix(s.Key.Owner, "iam-"), "SERVICE_ID"), putAway)
}

// putAway is where a key belongs.
const putAway = "Put it into Secrets Manager, or into the secret store of whatever runs on it (a Kubernetes secret, the variables of a pipeline), " +
	"never into a repository; restart what runs on it, and delete the file."

// nextName is a name for the key that follows one.
func nextName(name string) string {
	return argument(name, "NAME") + "-next"
}
