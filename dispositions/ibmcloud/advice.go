package ibmcloud

import (
	"fmt"
	"regexp"

	"stanch/receiver/leak"
)

// clusterName is what IBM Cloud Kubernetes Service calls the service ID with which a cluster pulls images, and the API
// keys that it makes for it: cluster-ID.
var clusterName = regexp.MustCompile(`^cluster-([a-z0-9]{8,40})$`)

// regionKey is the name of the API key on which Kubernetes Service runs the clusters of a region and resource group.
const regionKey = "containers-kubernetes-key"

// Advise implements dispositions.Adviser: IBM's runbooks, by what the key was made for.
func (i *issuer) Advise(key leak.Key) leak.Advice {
	if !keyID.MatchString(key.ID) {
		return leak.Advice{}
	}
	for _, name := range []string{key.OwnerName, key.Name} {
		if found := clusterName.FindStringSubmatch(name); found != nil {
			return pullSecretAdvice(key.ID, found[1])
		}
	}
	if found := generated.FindStringSubmatch(key.Name); found != nil {
		return credentialAdvice(found[1])
	}
	switch {
	case key.Name == regionKey:
		return regionAdvice()
	case key.Kind == "user":
		return leak.Advice{Replace: fmt.Sprintf("Only its owner can make the next one: "+
			"`ibmcloud iam api-key-create %s --action-if-leaked DISABLE --file key.json`. %s", nextName(key.Name), putAway)}
	case key.Kind == "service_id":
		return leak.Advice{Replace: fmt.Sprintf("Make the next one: "+
			"`ibmcloud iam service-api-key-create %s %s --action-if-leaked DISABLE --file key.json`. %s",
			nextName(key.Name), word(bareIAMID(key.Owner), "SERVICE_ID"), putAway)}
	}
	return leak.Advice{}
}

// pullSecretAdvice is IBM's runbook for the key of a cluster's service ID. Both ids are of plain characters.
func pullSecretAdvice(id, cluster string) leak.Advice {
	return leak.Advice{
		Replace: fmt.Sprintf("Cluster %s pulls its images with this key.", cluster),
		Steps: []leak.AdviceStep{
			{
				Text: fmt.Sprintf("The key is not deleted, and must be before a new one is made: "+
					"`ibmcloud iam service-api-key-delete %s cluster-%s`.", id, cluster),
				Gone: "The key is deleted, as it must be.",
			},
			{Text: fmt.Sprintf("Note which IAM policies of its service ID were customised, because the next step resets them: "+
				"`ibmcloud iam service-policies cluster-%s`.", cluster)},
			{Text: fmt.Sprintf("Make a new key and secret, as an Administrator of Container Registry: "+
				"`ibmcloud ks cluster pull-secret apply --cluster %s`.", cluster)},
			{Text: "Wait some minutes until the secret is new: `kubectl get secret all-icr-io --namespace default`."},
			{Text: "Set the customised policies again, and copy the secret to other namespaces that use it."},
		},
	}
}

// credentialAdvice is what to do about the key of a service credential. The id is of plain characters.
func credentialAdvice(id string) leak.Advice {
	return leak.Advice{
		Breaks: fmt.Sprintf("Applications that are bound to the service credential %s lose their service.", id),
		Replace: fmt.Sprintf("The key was made for the service credential %s: whatever is bound to that loses its service when "+
			"the key dies.", id),
		Steps: []leak.AdviceStep{
			{Text: fmt.Sprintf("See what it is of: `ibmcloud resource service-key %s`.", id)},
			{Text: "Make a new credential there: `ibmcloud resource service-key-create NAME ROLE --instance-id INSTANCE`, and bind the " +
				"applications to it again, so that they get its content."},
			{Text: fmt.Sprintf("Delete the old one if it is still there: `ibmcloud resource service-key-delete %s`.", id)},
		},
	}
}

// regionAdvice is IBM's runbook for the key on which the clusters of a region run.
func regionAdvice() leak.Advice {
	return leak.Advice{
		Replace: "The clusters of a region and resource group run on this key: without it workers, volumes and load balancers " +
			"cannot be ordered.",
		Steps: []leak.AdviceStep{
			{Text: "Sign in as who the clusters shall run as, best a functional ID, because the next key is that identity's, and " +
				"target the resource group: `ibmcloud target -g GROUP`."},
			{Text: "Make a new key for all clusters there: `ibmcloud ks api-key reset --region REGION`."},
			{Text: "Where the add-ons for block storage or autoscaling are in use, re-create the pods that still hold the old key: " +
				"`kubectl delete pod --namespace kube-system POD` for those whose names begin with ibm-vpc-block-csi-controller and " +
				"cluster-autoscaler."},
			{Text: "Delete the old key if it is still there."},
		},
	}
}

// putAway is where a key belongs.
const putAway = "Put it into Secrets Manager, or into the secret store of whatever runs on it (a Kubernetes secret, the variables of a pipeline), " +
	"never into a repository; restart what runs on it, and delete the file."

// nextName is a name for the key that follows one.
func nextName(name string) string { return word(name, "NAME") + "-next" }

// plainWord is what a shell takes as one word. Whoever made a key chose its name, and copying it into a shell must not run
// another command.
var plainWord = regexp.MustCompile(`^[A-Za-z0-9_][A-Za-z0-9_.:/@+-]*$`)

// word is a text as it goes into a command, or a word in capitals for the reader to replace.
func word(text, otherwise string) string {
	if plainWord.MatchString(text) {
		return text
	}
	return otherwise
}
