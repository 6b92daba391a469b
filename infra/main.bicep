// appcenter-dsr in one resource group: everything that it needs, and nothing reachable by a key but the function app.
//
// docs/DEPLOY.md says how to deploy it, infra/README.md what is in it.

targetScope = 'resourceGroup'

// What it is called, and where it lies.

@description('Name from which those of all resources are made.')
@minLength(3)
@maxLength(18)
param name string = 'appcenter-dsr'

@description('What it is for, such as dev or prod: a tag.')
param environmentName string = 'dev'

@description('Azure region.')
param location string = resourceGroup().location

@description('Further tags of every resource.')
param tags object = {}

// App Center, and where it exports to.

@description('App Center API token. It goes into the vault; empty leaves the stored one as it is.')
@secure()
param appCenterToken string = ''

@description('How App Center is told to export: none uses the export that is there, standard a linked subscription, custom a connection string.')
@allowed([
  'none'
  'standard'
  'custom'
])
param exportType string = 'none'

@description('Storage account that App Center exports to; empty makes one. A standard export has one that App Center made.')
param archiveAccount string = ''

@description('Resource group of that account; empty means this one.')
param archiveResourceGroup string = ''

@description('Container that App Center exports to.')
param archiveContainer string = 'archive'

// Storage.

@description('Redundancy of the storage accounts and the backups made here: copies in three zones, or in one place where a region has no zones.')
@allowed([
  'Standard_ZRS'
  'Standard_LRS'
])
param storageSku string = 'Standard_ZRS'

// The app.

@description('Further app settings, by name: those of the README that are to differ from their defaults. What has a parameter or a resource of its own here is not taken from it.')
param settings object = {}

@description('Origins of web pages that may call the app, such as intake forms.')
param corsOrigins array = []

@description('Address ranges (CIDR) that may call the app; empty means all, with a key.')
param allowedAddresses array = []

@description('Days that a package is kept after completion.')
@minValue(1)
@maxValue(3650)
param packageDays int = 30

@description('Whether finished days of the archive get an index, so that later searches read less. Its key is in the vault.')
param archiveIndex bool = false

@description('Key of the index, and of what requests are known again by: long and random, and the same for ever. It goes into the vault; empty leaves the stored one as it is.')
@secure()
param indexKey string = ''

@description('Memory of an instance in MB.')
@allowed([
  512
  2048
  4096
])
param instanceMemory int = 2048

@description('Most instances at once.')
@minValue(1)
@maxValue(1000)
param maximumInstances int = 40

// The ledger's database, for apps whose data is got by API.

@description('Whether there is one. Without it, APPCENTER_PATH can only be blob.')
param ledger bool = true

@description('Object ID of the database\'s administrator, best of a group. Empty makes the app\'s identity the administrator, which is more than it needs.')
param databaseAdministratorId string = ''

@description('Name of the administrator, as Entra ID has it.')
param databaseAdministratorName string = ''

@description('What the administrator is.')
@allowed([
  'User'
  'Group'
  'Application'
])
param databaseAdministratorType string = 'Group'

@description('Whether Microsoft Defender watches the database, which has a price of its own.')
@allowed([
  'Enabled'
  'Disabled'
])
param threatDetection string = 'Enabled'

// The network.

@description('Whether storage, vault and database are reached by private endpoints only.')
param privateNetwork bool = true

@description('Address space of the network.')
param addressSpace string = '10.90.0.0/24'

@description('Its subnet of the app: 128 addresses are plenty.')
param appSubnet string = '10.90.0.0/25'

@description('Its subnet of the private endpoints.')
param endpointSubnet string = '10.90.0.128/27'

@description('Whether calls to the internet leave by one fixed address (a NAT gateway). Only with a private network.')
param fixedAddress bool = false

// Telemetry.

@description('Days that telemetry is kept.')
@minValue(30)
@maxValue(730)
param logDays int = 90

@description('Most telemetry of a day, in GB; -1 for no limit. What is over it is lost, and alerts with it.')
param dailyGigabytes int = -1

@description('Mail address that alerts are sent to; empty for none.')
param alertEmail string = ''

@description('Address that alerts are posted to, in the common alert schema; empty for none.')
@secure()
param alertWebhook string = ''

var suffix = uniqueString(resourceGroup().id, name)
var short = toLower(take(replace(name, '-', ''), 7))
var allTags = union(tags, {
  application: 'appcenter-dsr'
  environment: environmentName
})
var workContainer = 'dsr'
var deploymentContainer = 'deployments'
var tokenName = 'appcenter-api-token'
var connectionName = 'export-connection-string'
var indexKeyName = 'index-key'
var makesArchive = empty(archiveAccount)
var archiveName = makesArchive ? 'st${short}a${suffix}' : archiveAccount
var servicesInPublic = privateNetwork ? 'Disabled' : 'Enabled'
var othersMay = privateNetwork ? 'Deny' : 'Allow'
var archiveGroup = makesArchive || empty(archiveResourceGroup) ? resourceGroup().name : archiveResourceGroup
var serverName = '${name}-sql-${suffix}'
var databaseName = 'ledger'
var databaseHost = '${serverName}${environment().suffixes.sqlServerHostname}'

resource identity 'Microsoft.ManagedIdentity/userAssignedIdentities@2023-01-31' = {
  name: '${name}-identity'
  location: location
  tags: allTags
}

module monitoring 'modules/monitoring.bicep' = {
  name: 'monitoring'
  params: {
    name: name
    location: location
    tags: allTags
    logDays: logDays
    dailyGigabytes: dailyGigabytes
    alertEmail: alertEmail
    alertWebhook: alertWebhook
  }
}

module alerts 'modules/alerts.bicep' = {
  name: 'alerts'
  params: {
    name: name
    location: location
    tags: allTags
    workspaceId: monitoring.outputs.workspaceId
    actionGroupId: monitoring.outputs.actionGroupId
  }
}

module workbook 'modules/workbook.bicep' = {
  name: 'workbook'
  params: {
    displayName: '${name} (${environmentName})'
    location: location
    tags: allTags
    workspaceId: monitoring.outputs.workspaceId
  }
}

module work 'modules/work-storage.bicep' = {
  name: 'work-storage'
  params: {
    name: 'st${short}w${suffix}'
    location: location
    tags: allTags
    sku: storageSku
    publicNetworkAccess: servicesInPublic
    defaultAction: othersMay
    workContainer: workContainer
    deploymentContainer: deploymentContainer
    packageDays: packageDays
    workspaceId: monitoring.outputs.workspaceId
  }
}

module archive 'modules/archive-storage.bicep' = if (makesArchive) {
  name: 'archive-storage'
  params: {
    name: archiveName
    location: location
    tags: allTags
    sku: storageSku
    container: archiveContainer
    keyAccess: exportType == 'custom'
    workspaceId: monitoring.outputs.workspaceId
  }
}

module secrets 'modules/secrets.bicep' = {
  name: 'secrets'
  params: {
    name: 'kv-${short}-${suffix}'
    location: location
    tags: allTags
    publicNetworkAccess: servicesInPublic
    defaultAction: othersMay
    workspaceId: monitoring.outputs.workspaceId
  }
}

module token 'modules/secret.bicep' = if (!empty(appCenterToken)) {
  name: 'app-center-token'
  params: {
    vault: secrets.outputs.name
    name: tokenName
    contentType: 'App Center API token'
    value: appCenterToken
  }
}

module keyOfIndex 'modules/secret.bicep' = if (!empty(indexKey)) {
  name: 'index-key'
  params: {
    vault: secrets.outputs.name
    name: indexKeyName
    contentType: 'Key of HMACs over identifiers'
    value: indexKey
  }
}

module connection 'modules/export-connection.bicep' = if (exportType == 'custom') {
  name: 'export-connection'
  params: {
    vault: secrets.outputs.name
    name: connectionName
    account: archiveName
    accountResourceGroup: archiveGroup
  }
  dependsOn: [
    archive
  ]
}

module databaseServer 'modules/database.bicep' = if (ledger) {
  name: 'database'
  params: {
    name: serverName
    location: location
    tags: allTags
    publicNetworkAccess: servicesInPublic
    databaseName: databaseName
    backupRedundancy: storageSku == 'Standard_ZRS' ? 'Zone' : 'Local'
    threatDetection: threatDetection
    administratorId: empty(databaseAdministratorId) ? identity.properties.principalId : databaseAdministratorId
    administratorName: empty(databaseAdministratorId) ? identity.name : databaseAdministratorName
    administratorType: empty(databaseAdministratorId) ? 'Application' : databaseAdministratorType
    workspaceId: monitoring.outputs.workspaceId
  }
}

module network 'modules/network.bicep' = if (privateNetwork) {
  name: 'network'
  params: {
    name: '${name}-network'
    location: location
    tags: allTags
    addressSpace: addressSpace
    appSubnet: appSubnet
    endpointSubnet: endpointSubnet
    fixedAddress: fixedAddress
  }
}

module workBlobEndpoint 'modules/private-endpoint.bicep' = if (privateNetwork) {
  name: 'work-blob-endpoint'
  params: {
    name: '${name}-blob-endpoint'
    location: location
    tags: allTags
    serviceId: work.outputs.id
    groupId: 'blob'
    zoneName: 'privatelink.blob.${environment().suffixes.storage}'
    networkId: privateNetwork ? network.outputs.id : ''
    subnetId: privateNetwork ? network.outputs.endpointSubnetId : ''
  }
}

module workQueueEndpoint 'modules/private-endpoint.bicep' = if (privateNetwork) {
  name: 'work-queue-endpoint'
  params: {
    name: '${name}-queue-endpoint'
    location: location
    tags: allTags
    serviceId: work.outputs.id
    groupId: 'queue'
    zoneName: 'privatelink.queue.${environment().suffixes.storage}'
    networkId: privateNetwork ? network.outputs.id : ''
    subnetId: privateNetwork ? network.outputs.endpointSubnetId : ''
  }
}

module vaultEndpoint 'modules/private-endpoint.bicep' = if (privateNetwork) {
  name: 'vault-endpoint'
  params: {
    name: '${name}-vault-endpoint'
    location: location
    tags: allTags
    serviceId: secrets.outputs.id
    groupId: 'vault'
    zoneName: 'privatelink.vaultcore.azure.net'
    networkId: privateNetwork ? network.outputs.id : ''
    subnetId: privateNetwork ? network.outputs.endpointSubnetId : ''
  }
}

module databaseEndpoint 'modules/private-endpoint.bicep' = if (privateNetwork && ledger) {
  name: 'database-endpoint'
  params: {
    name: '${name}-database-endpoint'
    location: location
    tags: allTags
    serviceId: ledger ? databaseServer.outputs.id : ''
    groupId: 'sqlServer'
    zoneName: 'privatelink${environment().suffixes.sqlServerHostname}'
    networkId: privateNetwork ? network.outputs.id : ''
    subnetId: privateNetwork ? network.outputs.endpointSubnetId : ''
  }
}

module access 'modules/access.bicep' = {
  name: 'access'
  params: {
    principalId: identity.properties.principalId
    workAccount: work.outputs.name
    vault: secrets.outputs.name
    component: monitoring.outputs.componentName
  }
}

module archiveAccess 'modules/archive-access.bicep' = {
  name: 'archive-access'
  scope: resourceGroup(archiveGroup)
  params: {
    account: archiveName
    principalId: identity.properties.principalId
  }
  dependsOn: [
    archive
  ]
}

module app 'modules/function-app.bicep' = {
  name: 'function-app'
  params: {
    name: '${name}-${suffix}'
    planName: '${name}-plan'
    location: location
    tags: allTags
    identityId: identity.id
    identityClientId: identity.properties.clientId
    workAccount: work.outputs.name
    workBlobEndpoint: work.outputs.blobEndpoint
    workContainer: workContainer
    deploymentContainer: deploymentContainer
    archiveAccount: archiveName
    archiveContainer: archiveContainer
    exportType: exportType
    packageDays: packageDays
    vaultUri: secrets.outputs.uri
    tokenName: tokenName
    connectionName: connectionName
    archiveIndex: archiveIndex
    indexKeyName: indexKeyName
    ledgerDatabase: ledger ? 'Server=tcp:${databaseHost},1433;Database=${databaseName};Encrypt=Strict;Authentication=Active Directory Managed Identity;User ID=${identity.properties.clientId}' : ''
    insightsConnectionString: monitoring.outputs.connectionString
    settings: settings
    corsOrigins: corsOrigins
    allowedAddresses: allowedAddresses
    subnetId: privateNetwork ? network.outputs.appSubnetId : ''
    instanceMemory: instanceMemory
    maximumInstances: maximumInstances
    workspaceId: monitoring.outputs.workspaceId
  }
  // The host cannot start before it may read its storage, nor before names lead there.
  dependsOn: [
    access
    archiveAccess
    workBlobEndpoint
    workQueueEndpoint
    vaultEndpoint
    databaseEndpoint
    databaseServer
    token
    keyOfIndex
    connection
  ]
}

output appName string = app.outputs.name
output appAddress string = app.outputs.address
output vaultName string = secrets.outputs.name
output workAccountName string = work.outputs.name
output archiveAccountName string = archiveName
output identityName string = identity.name
output databaseHost string = ledger ? databaseHost : ''
